import { MODEL_VARIABLES } from '@heimdex/cache';
import { expect } from 'chai';
import { parseYaml, read } from './support.js';

interface ComposeService {
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly mem_limit?: string;
  readonly read_only?: boolean;
  readonly pids_limit?: number;
  readonly cpus?: string;
  readonly privileged?: boolean;
  readonly security_opt?: readonly string[];
  readonly logging?: { readonly options?: Readonly<Record<string, string>> };
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly 'x-environment': Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, { readonly name: string }>>;
}

const [compose] = parseYaml<Compose>(read('deploy/compose.yaml'));
if (compose === undefined) throw new Error('deploy/compose.yaml is empty');
const { services } = compose;
const shared = compose['x-environment'];

function service(name: string): ComposeService {
  const found = services[name];
  if (found === undefined) throw new Error(`deploy/compose.yaml has no service ${name}`);
  return found;
}

describe('deploy/compose.yaml', () => {
  it('shares one environment block between both programs', () => {
    for (const name of ['model-downloader', 'model-service']) {
      expect(service(name).environment).to.include(shared);
    }
  });

  it('sets only known variables, with their defaults', () => {
    const declared = new Map(Object.values(MODEL_VARIABLES).map(({ name, defaultText }) => [name, defaultText]));
    for (const [name, text] of Object.entries(shared)) {
      if (name.startsWith('LOG_')) continue;
      expect(declared.has(name), name).to.equal(true);
      const standard = /^\$\{\w+:-(.*)\}$/.exec(text)?.[1];
      if (standard !== undefined) expect(standard, name).to.equal(declared.get(name));
    }
  });

  it('mounts the volume writable only in downloaders and preparers', () => {
    for (const [name, { volumes = [] }] of Object.entries(services)) {
      const models = volumes.filter((volume) => volume.startsWith('models_cache:'));
      if (/-(downloader|preparer)$/.test(name)) expect(models, name).to.deep.equal(['models_cache:/app/models/.cache']);
      else if (name.endsWith('-service')) expect(models, name).to.deep.equal(['models_cache:/app/models/.cache:ro']);
      else expect(models, name).to.deep.equal([]);
    }
  });

  it('attaches servers only to the internal network', () => {
    expect(compose.networks.inside?.internal).to.equal(true);
    const servers = Object.entries(services).filter(([name]) => name.endsWith('-service'));
    expect(servers.map(([, { networks }]) => networks)).to.deep.equal(servers.map(() => ['inside']));
  });

  it('attaches Prometheus only to the internal network', () => {
    expect(service('prometheus').networks).to.deep.equal(['inside']);
  });

  it('pins the version of every third-party image', () => {
    const images = Object.values(services).flatMap(({ image }) => image ?? []);
    const others = images.filter((image) => !image.startsWith('$'));
    expect(others).to.have.lengthOf(2);
    for (const image of others) expect(image).to.match(/^docker\.io\/.+:v?\d+\.\d+\.\d+$/);
  });

  it('starts a server after its models are downloaded and prepared', () => {
    const afterAll = { condition: 'service_completed_successfully' };
    expect(service('model-preparer').depends_on).to.deep.equal({ 'model-downloader': afterAll });
    expect(service('model-service').depends_on).to.deep.equal({ 'model-preparer': afterAll });
  });

  it('hardens every container and limits its memory, processes, CPUs and logs', () => {
    expect(
      Object.entries(services)
        .filter(([, { read_only }]) => read_only !== true)
        .map(([name]) => name),
    ).to.deep.equal([]);
    for (const [name, own] of Object.entries(services)) {
      expect(own.mem_limit, name).to.be.a('string');
      expect(own.pids_limit, name).to.be.within(1, 4096);
      expect(own.cpus, name).to.equal(`\${CPU_LIMIT:-0}`);
      expect(own.logging?.options, name).to.have.all.keys('max-size', 'max-file');
      expect(own.privileged, name).to.equal(undefined);
      // No seccomp=unconfined: the engine's profile applies.
      expect(own.security_opt, name).to.deep.equal(['no-new-privileges:true']);
    }
    expect(service('model-service').mem_limit).to.equal(`\${MEMORY_LIMIT:-6g}`);
    // Compiling needs 500 MB.
    expect(service('model-downloader').mem_limit).to.equal('1g');
  });

  it('uses variables that .env.example lists with the same defaults', () => {
    const example = new Map(
      read('deploy/.env.example')
        .split('\n')
        .flatMap((line) => {
          const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
          return name === undefined ? [] : [[name, value ?? ''] as const];
        }),
    );
    const files = ['compose.yaml', 'compose.tls.yaml', 'compose.cuda.yaml'].map((name) => read(`deploy/${name}`));
    const used = [...files.join('\n').matchAll(/\$\{(\w+):-([^}]*)\}/g)].map(
      ([, name = '', standard = '']) => [name, standard] as const,
    );
    expect(Object.fromEntries(used)).to.deep.equal(Object.fromEntries(example));
  });
});

describe('deploy/compose.cuda.yaml', () => {
  it('accepts CUDA_IMAGE like the Dockerfile, with the same default', () => {
    const standard = /^ARG CUDA_IMAGE=(.*)$/m.exec(read('deploy/inference.cuda.Dockerfile'))?.[1] ?? '';
    const text = read('deploy/compose.cuda.yaml');
    expect(text).to.include(`CUDA_IMAGE: "\${CUDA_IMAGE:-${standard}}"`);
    expect(text).not.to.match(/image: \$\{CUDA_IMAGE/);
  });

  it('configures the GPU for every program of compose.yaml', () => {
    const [cuda] = parseYaml<Pick<Compose, 'services'>>(read('deploy/compose.cuda.yaml'));
    const changed = Object.entries(cuda?.services ?? {});
    expect(changed.map(([name]) => name)).to.deep.equal(['model-downloader', 'model-preparer', 'model-service']);
    for (const [name, { environment }] of changed) {
      expect(environment, name).to.deep.equal({ DEVICE: 'cuda' });
      service(name);
    }
  });
});

describe('deploy/compose.tls.yaml', () => {
  const [overlay] = parseYaml<Pick<Compose, 'services'>>(read('deploy/compose.tls.yaml'));
  const changed = overlay?.services ?? {};

  it('gives every server a certificate and tokens, from a directory mounted read-only', () => {
    const servers = Object.keys(services).filter((name) => name.endsWith('-service'));
    expect(Object.keys(changed)).to.include.members(servers);
    for (const name of servers) {
      expect(changed[name]?.environment).to.have.all.keys('TLS_CERT_FILE', 'TLS_KEY_FILE', 'AUTH_TOKENS_FILE');
      for (const path of Object.values(changed[name]?.environment ?? {})) expect(path).to.match(/^\/run\/heimdex\//);
      expect(changed[name]?.volumes).to.deep.equal([`\${TLS_DIR:-./tls}:/run/heimdex:ro`]);
    }
  });

  it('has Prometheus scrape over HTTPS, and otherwise as without TLS', () => {
    const [plain] = parseYaml<{ scrape_configs: object[] }>(read('deploy/monitoring/prometheus.yml'));
    const [secure] = parseYaml<{ scrape_configs: object[] }>(read('deploy/monitoring/prometheus.tls.yml'));
    const tls = { scheme: 'https', tls_config: { ca_file: '/etc/prometheus/ca.crt', server_name: 'model-service' } };
    const expected = { ...plain, scrape_configs: plain?.scrape_configs.map((config) => ({ ...config, ...tls })) };
    expect(secure).to.deep.equal(expected);
  });
});
