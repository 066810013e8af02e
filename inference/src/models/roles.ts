/**
 * The roles a model can be configured for. The variables `WORKERS_<ROLE>` and `BATCH_<ROLE>`, the thread limits and the
 * FEATURE_DISABLED message are derived from this table; GetServerInfo and the metrics use its names.
 */
export interface RoleSpec {
  /** More threads than this gain little in one run (bench/serving). */
  readonly maxThreads: number;
  /** Whether its workers divide busy cores. For runs of many steps: one of a single step keeps its few threads when other runs end. */
  readonly dividesCores: boolean;
  /** Whether its models run on a GPU if there is one. */
  readonly usesGpu: boolean;
  /** How to enable it, for the FEATURE_DISABLED message. */
  readonly enable: string;
  /** What `BATCH_<ROLE>` limits, its default and an example, for `--help`. */
  readonly batch: { readonly unit: string; readonly usual: string; readonly example: string };
}

export const ROLE_SPECS = {
  speech: {
    maxThreads: 4,
    dividesCores: true,
    usesGpu: true,
    enable: 'set ASR_MODEL to a model such as base',
    batch: {
      unit: 'Maximum audio seconds per batch (Whisper counts padding: a 3 s clip is 11 s)',
      usual: 'four windows, 120',
      example: '60',
    },
  },
  vision: {
    maxThreads: 4,
    dividesCores: false,
    usesGpu: true,
    enable: 'set VISION_MODEL_NAME to a model such as Xenova/siglip-base-patch16-224',
    batch: {
      unit: 'Maximum tokens per batch (an image counts 576, a text 64)',
      usual: '2304 per thread, at least 4608',
      example: '1152',
    },
  },
  text: {
    maxThreads: 4,
    dividesCores: false,
    usesGpu: true,
    enable: 'set LOAD_BGE_M3=true',
    batch: { unit: 'Maximum tokens per batch, padding included', usual: '2304 per thread', example: '8192' },
  },
  faces: {
    // A lone caller of an image of 0.9 million pixels gains a fifth, four callers a third (bench/vision); more threads nothing.
    maxThreads: 2,
    dividesCores: false,
    // On a GPU the runtime searches the fastest convolutions again for every size of an image: 3 s a photograph instead of 29 ms (bench/gpu).
    usesGpu: false,
    enable: 'set FEATURE_FACE=true',
    batch: {
      unit: 'Maximum pixels per batch (YuNet searches each image alone, whatever this is)',
      usual: '8 million',
      example: '4000000',
    },
  },
} as const satisfies Record<string, RoleSpec>;

export type Role = keyof typeof ROLE_SPECS;

export const ROLES = Object.keys(ROLE_SPECS) as readonly Role[];

/** Returns where a role's models run on a server with this device. */
export function deviceOf(role: Role, device: 'cpu' | 'cuda'): 'cpu' | 'cuda' {
  return ROLE_SPECS[role].usesGpu ? device : 'cpu';
}

/** One value per role. */
export function forEachRole<Value>(make: (role: Role) => Value): Readonly<Record<Role, Value>> {
  return Object.fromEntries(ROLES.map((role) => [role, make(role)])) as Record<Role, Value>;
}

/** Returns the name of a role's variable, for example `WORKERS_SPEECH`. */
export function roleVariable<Prefix extends string>(prefix: Prefix, role: Role): `${Prefix}_${Uppercase<Role>}` {
  return `${prefix}_${role.toUpperCase() as Uppercase<Role>}`;
}
