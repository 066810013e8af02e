import { existsSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { has, output, parseYaml, ROOT, read } from './support.js';

interface Mount {
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

interface Container {
  readonly name: string;
  readonly envFrom?: readonly unknown[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly Mount[];
  readonly resources: { readonly limits?: { readonly memory?: string } };
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly startupProbe?: { readonly grpc?: unknown };
  readonly readinessProbe?: { readonly grpc?: unknown };
  readonly livenessProbe?: unknown;
}

interface PodSpec {
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly terminationGracePeriodSeconds?: number;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
}

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template?: { readonly spec: PodSpec };
    readonly egress?: readonly unknown[];
    readonly policyTypes?: readonly string[];
  };
}

const DIR = 'deploy/kubernetes/overlays';
const overlays = readdirSync(`${ROOT}${DIR}`);
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

for (const overlay of overlays) {
  describe(`${DIR}/${overlay}`, function () {
    this.timeout(30_000);
    let resources: readonly Resource[];
    let pods: readonly PodSpec[];
    let server: PodSpec;

    before(function () {
      if (!has('kubectl', 'kustomize', '--help')) {
        console.log('      kubectl is not installed: the overlays are not rendered');
        this.skip();
      }
      resources = parseYaml<Resource>(output('kubectl', ['kustomize', `${DIR}/${overlay}`]));
      pods = resources.flatMap(({ spec }) => spec?.template?.spec ?? []);
      const found = resources.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec;
      if (found === undefined) throw new Error('Expected a Deployment');
      server = found;
    });

    it('complies with the restricted profile', () => {
      for (const pod of pods) {
        expect(pod.securityContext).to.include({ runAsNonRoot: true, runAsUser: 1000 });
        expect(pod.securityContext.seccompProfile).to.deep.equal({ type: 'RuntimeDefault' });
        for (const { securityContext } of [...(pod.initContainers ?? []), ...pod.containers]) {
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
      const limits = pods.flatMap((pod) => [...(pod.initContainers ?? []), ...pod.containers]);
      expect(limits.filter(({ resources: { limits } }) => limits?.memory === undefined)).to.deep.equal([]);
    });

    it('downloads the models, then prepares them', () => {
      const orders = pods.map(({ initContainers = [], containers }) =>
        [...initContainers, ...containers]
          .map(({ name }) => name)
          .filter((name) => /^(downloader|prepare)$/.test(name)),
      );
      expect(orders.filter((names) => names.length > 0)).to.deep.equal([['downloader', 'prepare']]);
    });

    it('mounts the models read-only into the server', () => {
      const mount = server.containers[0]?.volumeMounts.find(({ mountPath }) => mountPath === '/app/models/.cache');
      expect(mount?.readOnly).to.equal(true);
    });

    it('uses gRPC probes, and drains calls before it stops', () => {
      const container = server.containers[0];
      expect(container?.startupProbe?.grpc).to.not.equal(undefined);
      expect(container?.readinessProbe?.grpc).to.not.equal(undefined);
      const seconds = (container?.env ?? [])
        .filter(({ name }) => name.startsWith('SHUTDOWN_'))
        .reduce((sum, { value }) => sum + Number(value), 0);
      expect(server.terminationGracePeriodSeconds).to.be.greaterThan(seconds);
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

describe(`${DIR}/gpu`, () => {
  it('configures the GPU for both programs', function () {
    if (!has('kubectl', 'kustomize', '--help')) this.skip();
    const resources = parseYaml<Resource>(output('kubectl', ['kustomize', `${DIR}/gpu`]));
    const devices = resources.flatMap(({ kind, data }) => (kind === 'ConfigMap' ? [data?.DEVICE] : []));
    expect(devices).to.deep.equal(['cuda']);
  });
});

describe(DIR, function () {
  this.timeout(60_000);

  for (const version of ['v1.30.0', 'v1.37.0']) {
    it(`has only fields known to Kubernetes ${version} and prometheus-operator`, function () {
      const schemas = `${process.env.HEIMDEX_TEST_SCHEMAS}/${version}`;
      if (!has('kubectl', 'kustomize', '--help') || !has('kubeconform', '-v') || !existsSync(schemas)) {
        console.log('      kubectl, kubeconform, or its schemas in HEIMDEX_TEST_SCHEMAS, are not here');
        this.skip();
      }
      // In one run: reading the schemas takes most of the time.
      const rendered = overlays.map((overlay) => output('kubectl', ['kustomize', `${DIR}/${overlay}`]));
      const location = `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`;
      output('kubeconform', ['-strict', '-schema-location', location], rendered.join('---\n'));
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
