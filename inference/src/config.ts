/** The server's settings. Nothing else reads the environment. */
import {
  environmentInvalid,
  type ModelEnvironment,
  misspeltVariables,
  readAll,
  readModelEnvironment,
  readVariables,
} from '@heimdex/cache';
import type { Role } from './models/model.js';
import { SERVER_VARIABLES } from './settings.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const TLS_VARIABLES = {
  tlsCertFile: SERVER_VARIABLES.tlsCertFile,
  tlsKeyFile: SERVER_VARIABLES.tlsKeyFile,
  tlsClientCaFile: SERVER_VARIABLES.tlsClientCaFile,
};

export interface Config {
  readonly models: ModelEnvironment;
  readonly host: string;
  readonly port: number;
  readonly log: LogConfig;
  /** Where models run. Of DEVICE=auto it is the CPU until chooseDevice has tried CUDA. */
  readonly device: 'cpu' | 'cuda';
  readonly verify: 'full' | 'quick';
  /** Whether optimized models of the models are used where they fit. */
  readonly useOptimized: boolean;
  /** Undefined: chosen from the machine. */
  readonly workers: Readonly<Record<Role, number | undefined>>;
  /** Most that the items of a run may cost together, in the family's unit. Undefined: chosen from the machine. */
  readonly batchCosts: Readonly<Record<Role, number | undefined>>;
  /** Undefined: chosen from the machine. */
  readonly threads: number | undefined;
  readonly limits: {
    readonly maxMessageBytes: number;
    readonly maxBatchItems: number;
    readonly maxAudioSeconds: number;
    readonly maxImagePixels: number;
    readonly maxQueue: number;
    readonly maxQueueMs: number;
    readonly streamIdleMs: number;
  };
  readonly worker: {
    readonly runTimeoutMs: number;
    readonly loadTimeoutMs: number;
    readonly heartbeatMs: number;
    readonly maxRestarts: number;
    /** 0: by what its model needs. */
    readonly memoryLimitBytes: number;
  };
  /** 0: what the machine gives. */
  readonly memoryLimitBytes: number;
  readonly security: {
    readonly tls: TlsConfig | undefined;
    readonly authTokensPath: string | undefined;
    readonly corsOrigins: readonly string[];
    readonly maxConnectionAgeMs: number;
    readonly maxConnections: number;
  };
  /** Undefined: nothing is traced. */
  readonly tracing: { readonly endpoint: string; readonly serviceName: string } | undefined;
  readonly shutdown: { readonly graceMs: number; readonly drainMs: number };
  /** Sentences about variables that look misspelt. */
  readonly hints: readonly string[];
  /** What worker processes get of the environment. */
  readonly workerEnv: Readonly<Record<string, string>>;
}

export interface TlsConfig {
  readonly certPath: string;
  readonly keyPath: string;
  readonly clientCaPath: string | undefined;
}

export interface LogConfig {
  readonly level: string;
  readonly format: 'auto' | 'human' | 'json';
}

/** Reads and checks everything. Throws CacheError ENVIRONMENT_INVALID with every problem at once. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const [models, values, tls] = readAll(
    () => readModelEnvironment(env),
    () => readVariables(env, SERVER_VARIABLES),
    () => readTls(env),
  );
  return {
    models,
    host: values.host,
    port: values.port,
    log: { level: values.logLevel, format: values.logFormat },
    device: models.device === 'auto' ? 'cpu' : models.device,
    verify: values.verify,
    useOptimized: values.prepared === 'auto',
    workers: {
      speech: values.workersSpeech,
      vision: values.workersVision,
      text: values.workersText,
      faces: values.workersFaces,
    },
    batchCosts: {
      speech: values.batchSpeech,
      vision: values.batchVision,
      text: values.batchText,
      faces: values.batchFaces,
    },
    threads: values.threads,
    limits: {
      maxMessageBytes: values.maxMessageMib * MIB,
      maxBatchItems: values.maxBatchItems,
      maxAudioSeconds: values.maxAudioSeconds,
      maxImagePixels: values.maxImagePixels,
      maxQueue: values.maxQueue,
      maxQueueMs: values.maxQueueSeconds * 1000,
      streamIdleMs: values.streamIdleSeconds * 1000,
    },
    worker: {
      runTimeoutMs: values.runTimeoutSeconds * 1000,
      loadTimeoutMs: values.loadTimeoutSeconds * 1000,
      heartbeatMs: values.heartbeatSeconds * 1000,
      maxRestarts: values.maxRestarts,
      memoryLimitBytes: values.workerMemoryLimitGb * GIB,
    },
    memoryLimitBytes: values.memoryLimitGb * GIB,
    security: {
      tls,
      authTokensPath: values.authTokensFile,
      corsOrigins: values.corsOrigins,
      maxConnectionAgeMs: values.maxConnectionAgeSeconds * 1000,
      maxConnections: values.maxConnections,
    },
    tracing:
      values.otlpEndpoint === undefined
        ? undefined
        : { endpoint: values.otlpEndpoint, serviceName: values.otelServiceName },
    shutdown: { graceMs: values.graceSeconds * 1000, drainMs: values.drainSeconds * 1000 },
    hints: misspeltVariables(env, SERVER_VARIABLES),
    workerEnv: workerEnvironment(env),
  };
}

/** The three files go together. */
function readTls(env: NodeJS.ProcessEnv): TlsConfig | undefined {
  const {
    tlsCertFile: certPath,
    tlsKeyFile: keyPath,
    tlsClientCaFile: clientCaPath,
  } = readVariables(env, TLS_VARIABLES);
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath, clientCaPath };
  const problems: string[] = [];
  if (certPath === undefined && keyPath !== undefined) problems.push('TLS_CERT_FILE must be set where TLS_KEY_FILE is');
  if (keyPath === undefined && certPath !== undefined) problems.push('TLS_KEY_FILE must be set where TLS_CERT_FILE is');
  if (clientCaPath !== undefined && certPath === undefined && keyPath === undefined) {
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE must be set where TLS_CLIENT_CA_FILE is');
  }
  if (problems.length > 0) throw environmentInvalid(problems);
  return undefined;
}

/** What a worker needs to find its libraries and a place for them; no tokens, no addresses. */
const WORKER_VARIABLES = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'LC_ALL',
  'TZ',
  'LD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'GLIBC_TUNABLES',
];

function workerEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = WORKER_VARIABLES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  // Libraries in a worker must not even try: models are served offline. onnxruntime 1.30 for Linux sends telemetry to its
  // maker, and leaves files in TMPDIR for it, unless it is told not to.
  const offline = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', ORT_DISABLE_TELEMETRY: '1' };
  // Weights and caches are read from end to end at every step of a decoder: with pages of 2 MiB, where the kernel gives them to
  // who asks (transparent_hugepage=madvise), a step takes 0.7 of the time. Other C libraries do not look at it.
  // Tensors of a MiB and more are given back to the system when they are freed: by itself the library raises that mark to 32 MiB,
  // and keeps hundreds of MiB of a window's keys and values.
  const tunables = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576' };
  return { ...tunables, ...Object.fromEntries(kept), ...offline };
}
