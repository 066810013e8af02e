import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type EmbeddedServer, freePort, startEmbeddedServer } from './embedded.js';
import { has, output, parseYaml, ROOT, read } from './support.js';

const DIR = `${ROOT}deploy/monitoring`;

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly targets: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
  readonly panels: readonly Panel[];
}

interface RuleGroups {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
}

/** Prometheus' response to a query. */
interface Vector {
  readonly result: readonly { readonly value: readonly [number, string] }[];
}

const dashboard = JSON.parse(read('deploy/monitoring/grafana-dashboard.json')) as Dashboard;
const queries = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map(({ refId, expr }) => ({ title, refId, expr })),
);
const [alerts] = parseYaml<RuleGroups>(read('deploy/monitoring/alerts.yaml'));
const alertNames = alerts?.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)) ?? [];

describe('deploy/monitoring', () => {
  describe('the dashboard', () => {
    it('has unique panel ids, no overlapping panels, and uses the selected data source', () => {
      const { panels } = dashboard;
      expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
      const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
        Array.from({ length: h * w }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
      );
      expect(new Set(cells).size).to.equal(cells.length);
      expect(Math.max(...panels.map(({ gridPos: { w, x } }) => x + w))).to.be.at.most(24);
      for (const { datasource } of panels)
        expect(datasource).to.deep.equal({ type: 'prometheus', uid: `\${datasource}` });
    });

    it('uses only declared variables', () => {
      const declared = dashboard.templating.list.map(({ name }) => name);
      const used = queries.flatMap(({ expr }) => [...expr.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name));
      expect([...declared, '__rate_interval']).to.include.members([...new Set(used)]);
    });
  });

  it('shows calls without those of health, of which probes make most', () => {
    const ofCalls = queries.filter(({ expr }) => /heimdex_request(s_total|_seconds_bucket)/.test(expr));
    expect(ofCalls).to.have.lengthOf(3);
    for (const { expr } of ofCalls) expect(expr).to.include('method!~"Check|List|Watch"');
  });

  it('has the same alerts for prometheus-operator', () => {
    const [rule] = parseYaml<{ spec: unknown }>(read('deploy/kubernetes/components/monitoring/prometheus-rule.yaml'));
    expect(rule?.spec).to.deep.equal(alerts);
  });

  it('has a test for each alert', () => {
    const [examples] = parseYaml<{ tests: { alert_rule_test?: { alertname: string }[] }[] }>(
      read('deploy/monitoring/alerts.test.yaml'),
    );
    const tested = examples?.tests.flatMap(({ alert_rule_test = [] }) =>
      alert_rule_test.map(({ alertname }) => alertname),
    );
    expect(tested).to.deep.equal(alertNames);
  });

  it('is valid for promtool, and its alert tests pass', function () {
    if (!has('promtool', '--version')) {
      console.log('      promtool is not installed');
      this.skip();
    }
    output('promtool', ['check', 'config', `${DIR}/prometheus.yml`]);
    output('promtool', ['check', 'rules', `${DIR}/alerts.yaml`]);
    output('promtool', ['test', 'rules', `${DIR}/alerts.test.yaml`]);
  });

  describe('with Prometheus and a server with the embedded models', () => {
    let served: EmbeddedServer;
    let prometheus: ChildProcess;
    let api: string;

    before(async function () {
      if (!has('prometheus', '--version')) {
        console.log('      prometheus is not installed');
        this.skip();
      }
      served = await startEmbeddedServer();
      const port = await freePort();
      api = `http://127.0.0.1:${port}/api/v1`;
      const config = join(served.dir, 'prometheus.yml');
      await writeFile(config, impatient(read('deploy/monitoring/prometheus.yml'), served.address));
      prometheus = spawn(
        'prometheus',
        [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(served.dir, 'tsdb')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        { stdio: 'ignore' },
      );
    });

    after(async () => {
      if (prometheus?.kill('SIGTERM')) await once(prometheus, 'close');
      await served?.close();
    });

    /** Polls the Prometheus API until the expected result. Throws with the last result after a minute. */
    async function ask<Data>(path: string, enough: (data: Data) => boolean): Promise<Data> {
      const until = AbortSignal.timeout(60_000);
      let last: unknown;
      while (!until.aborted) {
        try {
          const { data } = (await (await fetch(`${api}${path}`)).json()) as { data: Data };
          last = data;
          if (enough(data)) return data;
        } catch (error) {
          last = error;
        }
        await sleep(100);
      }
      throw new Error(`${path} returned ${JSON.stringify(last)}`);
    }

    it('scrapes the server', async () => {
      type Targets = { readonly activeTargets: readonly { readonly health: string }[] };
      const { activeTargets } = await ask<Targets>('/targets', (data) =>
        data.activeTargets.some(({ health }) => health === 'up'),
      );
      expect(activeTargets.map(({ health }) => health)).to.deep.equal(['up']);
    });

    it('loads the alerts, and none fires for a healthy server', async () => {
      type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
      type Rule = { readonly name: string; readonly health: string; readonly state: string };
      const rulesOf = (data: Rules) => data.groups.flatMap(({ rules }) => rules);
      const { groups } = await ask<Rules>('/rules', (data) =>
        rulesOf(data).every(({ health, state }) => health === 'ok' && state === 'inactive'),
      );
      expect(rulesOf({ groups }).map(({ name }) => name)).to.deep.equal(alertNames);
    });

    it('counts calls', async () => {
      const counted = async (least: number) => {
        const enough = ({ result: [first] }: Vector) => Number(first?.value[1] ?? 0) >= least;
        const { result } = await ask<Vector>('/query?query=sum(heimdex_items_total)', enough);
        return Number(result[0]?.value[1]);
      };
      call(served);
      const items = await counted(1);
      // A rate needs two scrapes with an increase between them.
      call(served);
      await counted(items + 1);
    });

    it("answers the autoscaler's query for prometheus-adapter", async () => {
      const [rule] = parseYaml<{ rules: { custom: { metricsQuery: string }[] } }>(
        read('deploy/kubernetes/components/autoscale-queue/adapter-rule.yaml'),
      );
      const query = (rule?.rules.custom[0]?.metricsQuery ?? '')
        .replaceAll('<<.GroupBy>>', 'instance')
        .replaceAll('<<.LabelMatchers>>', 'instance=~".+"');
      const { result } = await ask<Vector>(`/query?query=${encodeURIComponent(query)}`, (data) =>
        data.result.some(({ value: [, number] }) => Number.isFinite(Number(number))),
      );
      expect(result).to.have.lengthOf(1);
      // A job of bulk calls, which wait by design, would otherwise call for all replicas.
      expect(query.match(/\{[^}]*\}/g)).to.deep.equal(Array(2).fill('{priority="interactive",instance=~".+"}'));
    });

    for (const { title, refId, expr } of queries) {
      it(`answers the dashboard's query ${refId} of "${title}"`, async () => {
        const query = expr.replaceAll('$instance', '.+').replaceAll('$__rate_interval', '5m');
        const { result } = await ask<Vector>(`/query?query=${encodeURIComponent(query)}`, (data) =>
          data.result.some(({ value: [, number] }) => Number.isFinite(Number(number))),
        );
        expect(result).to.not.deep.equal([]);
      });
    }
  });
});

/** Returns the configuration with the server's address and a scrape interval of one second. */
function impatient(config: string, address: string): string {
  return config
    .replaceAll('15s', '1s')
    .replace('[alerts.yaml]', `[${DIR}/alerts.yaml]`)
    .replace(/dns_sd_configs:\n.*/, `static_configs:\n      - { targets: ["${address}"] }`);
}

/** Makes one call of each kind. */
function call({ env, dir }: EmbeddedServer): void {
  const samples = join(ROOT, 'demo/samples');
  for (const args of [
    ['search', 'pizza', `${samples}/images/03-pizza.jpg`],
    ['detect-faces', `${samples}/faces/faces_1.png`],
    ['transcribe', `${samples}/speech/party.flac`],
  ]) {
    const { status, stderr } = spawnSync('heimdex', args, { env, cwd: dir, encoding: 'utf8' });
    if (status !== 0) throw new Error(`heimdex ${args.join(' ')} ended with ${status}: ${stderr}`);
  }
}
