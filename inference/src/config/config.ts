/** The server's settings, from the environment. */

import {
  environmentInvalid,
  type ModelEnvironment,
  misspeltVariables,
  readAll,
  readModelEnvironment,
  readVariables,
} from '@heimdex/cache';
import { GIB, MIB } from '@heimdex/common';
import type { LogConfig } from '@heimdex/common/log';
import { forEachRole, type Role, roleVariable } from '../models/roles.js';
import { MALLOC_SETTINGS, WORKER_MMAP_THRESHOLD } from '../process/malloc-settings.js';
import { SERVER_VARIABLES } from './settings.js';

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
  /** The device of the models. With DEVICE=auto, the CPU until chooseDevice has probed CUDA. */
  readonly device: 'cpu' | 'cuda';
  readonly verify: 'full' | 'quick';
  /** Whether optimized models are used if available. */
  readonly useOptimized: boolean;
  /** Undefined: chosen from the machine. */
  readonly workers: Readonly<Record<Role, number | undefined>>;
  /** Maximum total cost per run, in the family's unit. Undefined: chosen from the machine. */
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
    /** Idle timeout of a stream. */
    readonly streamIdleMs: number;
  };
  readonly worker: {
    readonly runTimeoutMs: number;
    readonly loadTimeoutMs: number;
    readonly heartbeatMs: number;
    readonly maxRestarts: number;
    /** 0: derived from the model's size. */
    readonly memoryLimitBytes: number;
  };
  /** 0: the machine's memory. */
  readonly memoryLimitBytes: number;
  readonly security: {
    readonly tls: TlsConfig | undefined;
    readonly authTokensPath: string | undefined;
    readonly corsOrigins: readonly string[];
    readonly maxConnectionAgeMs: number;
    readonly maxConnections: number;
  };
  /** Whether the port serves the OpenAI API. */
  readonly openAi: boolean;
  /** Whether GET / is a page to try the server. */
  readonly playground: boolean;
  /** Undefined: tracing is off. */
  readonly tracing: { readonly endpoint: string; readonly serviceName: string } | undefined;
  readonly shutdown: { readonly graceMs: number; readonly drainMs: number };
  /** Warnings about variables that look misspelt, or like those of another protocol. */
  readonly hints: readonly string[];
  /** The environment of worker processes. */
  readonly workerEnv: Readonly<Record<string, string>>;
}

/** PEM files. */
export interface TlsConfig {
  /** The server's certificate chain. */
  readonly certPath: string;
  /** Its private key. */
  readonly keyPath: string;
  /** CA certificates for client certificates; undefined: none are required. */
  readonly clientCaPath: string | undefined;
}

/** Reads and validates all settings. Throws CacheError ENVIRONMENT_INVALID with all problems at once. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const [models, values, tls] = readAll(
    () => readModelEnvironment(env),
    () => readVariables(env, SERVER_VARIABLES),
    () => readTls(env),
  );
  return {
    models,
    // In brackets, as in front of a port, it would be a name.
    host: values.host.replace(/^\[(.*)\]$/, '$1'),
    port: values.port,
    log: { level: values.logLevel, format: values.logFormat },
    device: models.device === 'auto' ? 'cpu' : models.device,
    verify: values.verify,
    useOptimized: values.prepared === 'auto',
    workers: forEachRole((role) => values[roleVariable('WORKERS', role)]),
    batchCosts: forEachRole((role) => values[roleVariable('BATCH', role)]),
    threads: values.threads,
    limits: {
      maxMessageBytes: values.maxMessageMib * MIB,
      maxBatchItems: values.maxBatchItems,
      maxAudioSeconds: values.maxAudioSeconds,
      maxImagePixels: values.maxImagePixels,
      maxQueue: values.maxQueue,
      maxQueueMs: toMs(values.maxQueueSeconds),
      streamIdleMs: toMs(values.streamIdleSeconds),
    },
    worker: {
      runTimeoutMs: toMs(values.runTimeoutSeconds),
      loadTimeoutMs: toMs(values.loadTimeoutSeconds),
      heartbeatMs: toMs(values.heartbeatSeconds),
      maxRestarts: values.maxRestarts,
      memoryLimitBytes: values.workerMemoryLimitGb * GIB,
    },
    memoryLimitBytes: values.memoryLimitGb * GIB,
    security: {
      tls,
      authTokensPath: values.authTokensFile,
      corsOrigins: values.corsOrigins,
      maxConnectionAgeMs: toMs(values.maxConnectionAgeSeconds),
      maxConnections: values.maxConnections,
    },
    openAi: values.openAi,
    playground: values.playground,
    tracing:
      values.otlpEndpoint === undefined
        ? undefined
        : { endpoint: values.otlpEndpoint, serviceName: values.otelServiceName },
    shutdown: { graceMs: toMs(values.graceSeconds), drainMs: toMs(values.drainSeconds) },
    hints: [...misspeltVariables(env, SERVER_VARIABLES), ...collectorHints(values.otlpEndpoint)],
    workerEnv: workerEnvironment(env),
  };
}

/** Whole milliseconds: 16.1 s are 16100.000000000002 ms, which timeouts refuse. */
function toMs(seconds: number): number {
  return Math.round(seconds * 1000);
}

/** Port 4317 is OTLP's for gRPC, and what most examples have. */
function collectorHints(endpoint: string | undefined): readonly string[] {
  if (endpoint === undefined || new URL(endpoint).port !== '4317') return [];
  return [
    'OTEL_EXPORTER_OTLP_ENDPOINT has port 4317, which collectors have for gRPC: traces are sent over HTTP, to port 4318',
  ];
}

/** Validates the three TLS files together. */
function readTls(env: NodeJS.ProcessEnv): TlsConfig | undefined {
  const {
    tlsCertFile: certPath,
    tlsKeyFile: keyPath,
    tlsClientCaFile: clientCaPath,
  } = readVariables(env, TLS_VARIABLES);
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath, clientCaPath };
  const problems: string[] = [];
  if (certPath === undefined && keyPath !== undefined)
    problems.push('TLS_CERT_FILE must be set if TLS_KEY_FILE is set');
  if (keyPath === undefined && certPath !== undefined)
    problems.push('TLS_KEY_FILE must be set if TLS_CERT_FILE is set');
  if (clientCaPath !== undefined && certPath === undefined && keyPath === undefined) {
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE must be set if TLS_CLIENT_CA_FILE is set');
  }
  if (problems.length > 0) throw environmentInvalid(problems);
  return undefined;
}

/** Variables that a worker inherits: those needed to find its libraries and directories, no tokens, no addresses. */
const WORKER_VARIABLES = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'LC_ALL',
  'TZ',
  'LD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'NVIDIA_TF32_OVERRIDE',
  'GLIBC_TUNABLES',
];

function workerEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = WORKER_VARIABLES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  // Models are served offline; libraries in a worker must not attempt network access. onnxruntime 1.30 for Linux sends
  // telemetry, and writes files to TMPDIR for it, unless disabled.
  const offline = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', ORT_DISABLE_TELEMETRY: '1' };
  // Each decoder step reads all weights and caches: with 2 MiB pages, which the kernel provides on request
  // (transparent_hugepage=madvise), a step takes 0.7 of the time. The others return freed memory to the system: by default glibc
  // has eight arenas per core and raises the threshold of mmap to 32 MiB and that of trimming to 64 MiB, which keeps hundreds of MiB
  // of a window's keys and values. C libraries other than glibc ignore the variable.
  const tunables = {
    GLIBC_TUNABLES: [
      'glibc.malloc.hugetlb=1',
      'glibc.malloc.arena_max=2',
      `glibc.malloc.mmap_threshold=${WORKER_MMAP_THRESHOLD}`,
      `glibc.malloc.trim_threshold=${MALLOC_SETTINGS.MALLOC_TRIM_THRESHOLD_}`,
    ].join(':'),
  };
  // Otherwise a GPU rounds float32 products to ten bits of mantissa, and the binding has no setting for it.
  const exact = { NVIDIA_TF32_OVERRIDE: '0' };
  return { ...tunables, ...exact, ...Object.fromEntries(kept), ...offline };
}
