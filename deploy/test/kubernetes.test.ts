import { existsSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { DIR, hasKubectl, type Labels, type PodSpec, type Resource, rendered } from './kubernetes.js';
import { has, output, parseYaml, ROOT, read } from './support.js';

const overlays = readdirSync(`${ROOT}${DIR}`).filter((name) => !name.startsWith('.'));

/** Volume types allowed by the restricted pod security profile. */
const RESTRICTED_VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'secret',
];

const containersOf = ({ initContainers = [], containers }: PodSpec) => [...initContainers, ...containers];

for (const overlay of overlays) {
  describe(`${DIR}/${overlay}`, () => {
    let resources: readonly Resource[];
    let pods: readonly PodSpec[];
    let server: PodSpec;

    before(function () {
      if (!hasKubectl()) {
        console.log('      kubectl is not installed: the overlays are not rendered');
        this.skip();
      }
      resources = parseYaml<Resource>(rendered(overlay));
      pods = resources.flatMap(({ spec }) => spec?.template?.spec ?? []);
      const found = resources.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec;
      if (found === undefined) throw new Error('Expected a Deployment');
      server = found;
    });

    it('complies with the restricted profile', () => {
      for (const pod of pods) {
        expect(pod.securityContext).to.include({ runAsNonRoot: true, runAsUser: 1000 });
        expect(pod.securityContext.seccompProfile).to.deep.equal({ type: 'RuntimeDefault' });
        for (const { securityContext } of containersOf(pod)) {
          expect(securityContext).to.deep.equal({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
        }
        const kinds = pod.volumes.flatMap((volume) => Object.keys(volume).filter((key) => key !== 'name'));
        expect(RESTRICTED_VOLUMES).to.include.members(kinds);
      }
    });

    it('limits the memory of every container', () => {
      const limits = pods.flatMap(containersOf);
      expect(limits.filter(({ resources: { limits } }) => limits?.memory === undefined)).to.deep.equal([]);
    });

    it('has why a container ended in the status of the pod: the last line of its log, which is JSON', () => {
      const silent = pods
        .flatMap(containersOf)
        .filter(({ terminationMessagePolicy }) => terminationMessagePolicy !== 'FallbackToLogsOnError');
      expect(silent.map(({ name }) => name)).to.deep.equal([]);
      const models = resources.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('models'));
      expect(models?.data).to.include({ LOG_FORMAT: 'json' });
    });

    it('limits the server to the memory that compose gives it and the README names, or that its small models need', () => {
      const [, stated] = /start with `MEMORY_LIMIT_GB=(\d+)`/.exec(read('README.md')) ?? [];
      const [, composed] = /MEMORY_LIMIT:-(\d+)g/.exec(read('deploy/compose.yaml')) ?? [];
      expect(composed).to.equal(stated);
      const limit = server.containers[0]?.resources.limits?.memory;
      expect(limit).to.equal(overlay === 'podman' ? '2Gi' : `${stated}Gi`);
    });

    it("asks for room on the node's disk if the models are in the pod, which is evicted first otherwise", () => {
      const inPod = server.volumes.some(({ name, emptyDir }) => name === 'models' && emptyDir !== undefined);
      const requests = (server.initContainers ?? []).map(({ resources }) => resources.requests?.['ephemeral-storage']);
      expect(requests.filter((bytes) => bytes !== undefined)).to.have.lengthOf(inPod ? 1 : 0);
    });

    it('downloads the models, then prepares them', () => {
      const orders = pods.map((pod) =>
        containersOf(pod)
          .map(({ name }) => name)
          .filter((name) => /^(downloader|prepare)$/.test(name)),
      );
      expect(orders.filter((names) => names.length > 0)).to.deep.equal([['downloader', 'prepare']]);
    });

    it('mounts the models read-only into the server', () => {
      const mount = server.containers[0]?.volumeMounts.find(({ mountPath }) => mountPath === '/app/models/.cache');
      expect(mount?.readOnly).to.equal(true);
    });

    it('uses gRPC probes, or HTTPS if the server speaks TLS', () => {
      const container = server.containers[0];
      const probes = [container?.startupProbe, container?.readinessProbe, container?.livenessProbe];
      const secure = container?.env?.some(({ name }) => name === 'TLS_CERT_FILE');
      if (secure !== true) {
        expect(probes.map((probe) => probe?.grpc !== undefined)).to.deep.equal([true, true, false]);
        expect(probes[2]?.httpGet).to.include({ path: '/livez' }).and.not.have.property('scheme');
      } else {
        const https = ['/readyz', '/readyz', '/livez'].map((path) => ({ path, port: 'grpc', scheme: 'HTTPS' }));
        expect(probes.map((probe) => probe?.httpGet)).to.deep.equal(https);
        expect(probes.some((probe) => probe?.grpc !== undefined)).to.equal(false);
      }
    });

    it('leaves the number of pods to an autoscaler', () => {
      const own = resources.find(({ kind }) => kind === 'Deployment');
      // podman has no autoscaler.
      expect(own?.spec?.replicas).to.equal(overlay === 'podman' ? 1 : undefined);
    });

    it('does not call a rollout failed while pods wait for the download and load their models', () => {
      const { periodSeconds = 0, failureThreshold = 0 } = server.containers[0]?.startupProbe ?? {};
      const [, hours] = /--for=condition=complete --timeout=(\d+)h/.exec(read('docs/kubernetes.md')) ?? [];
      const deadline = resources.find(({ kind }) => kind === 'Deployment')?.spec?.progressDeadlineSeconds;
      expect(deadline).to.be.at.least(Number(hours) * 3600 + periodSeconds * failureThreshold);
    });

    it('spreads the pods of one version: those that a rollout is about to end do not count', () => {
      const keys = server.topologySpreadConstraints?.map(({ matchLabelKeys }) => matchLabelKeys);
      expect(keys).to.deep.equal([['pod-template-hash'], ['pod-template-hash']]);
    });

    it('drains calls before it stops', () => {
      const container = server.containers[0];
      const seconds = (container?.env ?? [])
        .filter(({ name }) => name.startsWith('SHUTDOWN_'))
        .reduce((sum, { value }) => sum + Number(value), 0);
      expect(server.terminationGracePeriodSeconds).to.be.greaterThan(seconds);
    });

    it('has no empty lists, which the API server drops, so that each apply would change something', () => {
      const empty = resources.filter((resource) => JSON.stringify(resource).includes(':[]'));
      expect(empty.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).to.deep.equal([]);
    });

    it('denies egress of the server if another pod downloads its models', () => {
      const policies = resources.filter(({ kind }) => kind === 'NetworkPolicy');
      const own = policies.find(({ metadata }) => metadata.name.startsWith('inference'));
      expect(own?.spec?.policyTypes).to.include('Egress');
      const fetchesItself = server.initContainers?.some(({ name }) => name === 'downloader') ?? false;
      if (!fetchesItself) expect(own?.spec?.egress ?? []).to.deep.equal([]);
    });
  });
}

describe(`${DIR}/tls`, () => {
  it('scrapes the servers over HTTPS with the CA', function () {
    if (!hasKubectl()) this.skip();
    const resources = parseYaml<Resource>(rendered('tls'));
    const monitor = resources.find(({ kind }) => kind === 'ServiceMonitor');
    expect(monitor?.spec?.endpoints?.[0]).to.deep.include({
      scheme: 'https',
      tlsConfig: { ca: { secret: { name: 'inference-tls', key: 'ca.crt' } }, serverName: 'inference' },
    });
  });
});

describe(`${DIR}/gpu`, () => {
  it('configures the GPU for both programs', function () {
    if (!hasKubectl()) this.skip();
    const resources = parseYaml<Resource>(rendered('gpu'));
    const devices = resources.flatMap(({ kind, data }) => (kind === 'ConfigMap' ? [data?.DEVICE] : []));
    expect(devices).to.deep.equal(['cuda']);
  });

  it('has pods that nothing of the CPU pods beside them selects: a pod of two disruption budgets cannot be evicted', function () {
    if (!hasKubectl()) this.skip();
    const [cpu, gpu] = ['shared-volume', 'gpu'].map((overlay) => parseYaml<Resource>(rendered(overlay)));
    const selecting = (resources: readonly Resource[] = [], labels: Labels = {}) =>
      resources
        .filter(({ spec: { podSelector, selector } = {} }) => {
          const wanted = Object.entries(podSelector?.matchLabels ?? selector?.matchLabels ?? selector ?? {});
          return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
        })
        .map(({ kind }) => kind);
    const { metadata, spec } = gpu?.find(({ kind }) => kind === 'Deployment')?.spec?.template ?? {};
    const own = ['Deployment', 'Service', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'];
    expect(selecting(gpu, metadata?.labels)).to.have.members(own);
    expect(selecting(cpu, metadata?.labels)).to.deep.equal([]);
    const spread = spec?.topologySpreadConstraints?.map(({ labelSelector }) => labelSelector?.matchLabels);
    expect(spread).to.deep.equal([metadata?.labels, metadata?.labels]);
  });
});

describe(DIR, () => {
  for (const version of ['v1.30.0', 'v1.37.0']) {
    it(`has only fields known to Kubernetes ${version} and prometheus-operator`, function () {
      const schemas = `${process.env.HEIMDEX_TEST_SCHEMAS}/${version}`;
      if (!hasKubectl() || !has('kubeconform', '-v') || !existsSync(schemas)) {
        console.log('      kubectl, kubeconform, or its schemas in HEIMDEX_TEST_SCHEMAS, are not here');
        this.skip();
      }
      // In one run and by one worker: reading the schemas takes most of the time, and each worker reads those that it needs.
      const location = `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`;
      output('kubeconform', ['-n', '1', '-strict', '-schema-location', location], overlays.map(rendered).join('---\n'));
    });
  }
});

describe('deploy/kubernetes/base', () => {
  it('sets the same environment as compose', () => {
    const [kustomization] = parseYaml<{ configMapGenerator: { literals: string[] }[] }>(
      read('deploy/kubernetes/base/kustomization.yaml'),
    );
    const [compose] = parseYaml<{ 'x-environment': Record<string, string> }>(read('deploy/compose.yaml'));
    const literals = (kustomization?.configMapGenerator[0]?.literals ?? []).map((line) => line.split('=', 2));
    const { LOG_LEVEL: _, ...shared } = compose?.['x-environment'] ?? {};
    const standard = Object.entries(shared).map(([name, text]) => [name, /^\$\{\w+:-(.*)\}$/.exec(text)?.[1] ?? text]);
    expect(Object.fromEntries(literals)).to.deep.equal(Object.fromEntries(standard));
  });
});
