/** The resources of deploy/kubernetes, as kubectl renders them. */
import { has, output } from './support.js';

interface Mount {
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

interface Probe {
  readonly grpc?: unknown;
  readonly httpGet?: { readonly path: string; readonly scheme?: string };
}

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly envFrom?: readonly unknown[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly Mount[];
  readonly resources: {
    readonly limits?: { readonly memory?: string };
    readonly requests?: Readonly<Record<string, string>>;
  };
  readonly terminationMessagePolicy?: string;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly startupProbe?: Probe & { readonly periodSeconds: number; readonly failureThreshold: number };
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface PodSpec {
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly terminationGracePeriodSeconds?: number;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
  readonly topologySpreadConstraints?: readonly {
    readonly matchLabelKeys?: readonly string[];
    readonly labelSelector?: { readonly matchLabels: Labels };
  }[];
}

export type Labels = Readonly<Record<string, string>>;

export interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly replicas?: number;
    readonly progressDeadlineSeconds?: number;
    readonly endpoints?: readonly Readonly<Record<string, unknown>>[];
    /** Of a Service the labels themselves. */
    readonly selector?: Labels & { readonly matchLabels?: Labels };
    readonly podSelector?: { readonly matchLabels?: Labels };
    readonly template?: { readonly metadata?: { readonly labels: Labels }; readonly spec: PodSpec };
    readonly egress?: readonly unknown[];
    readonly policyTypes?: readonly string[];
  };
}

/** Directory of the overlays. */
export const DIR = 'deploy/kubernetes/overlays';
const renderings = new Map<string, string>();
let kubectlFound: boolean | undefined;

export function hasKubectl(): boolean {
  kubectlFound ??= has('kubectl', 'kustomize', '--help');
  return kubectlFound;
}

/** The resources of an overlay, rendered once. */
export function rendered(overlay: string): string {
  const known = renderings.get(overlay) ?? output('kubectl', ['kustomize', `${DIR}/${overlay}`]);
  renderings.set(overlay, known);
  return known;
}
