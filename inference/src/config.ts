/** The server's settings. Nothing else reads the environment. */
import {
  enumVariable,
  environmentInvalid,
  integerVariable,
  listVariable,
  type ModelEnvironment,
  numberVariable,
  readAll,
  readModelEnvironment,
  readVariables,
  stringVariable,
  urlVariable,
} from '@heimdex/cache';
import type { Role } from './models/model.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** The server's own variables, beside those it shares with the downloader. --help and the README are made from this table. */
export const SERVER_VARIABLES = {
  port: integerVariable({
    name: 'PORT',
    default: 8001,
    min: 0,
    max: 65535,
    doc: 'Port of everything: gRPC, gRPC-Web, Connect, health, metrics. 0: any free one, said in the log.',
    example: '8001',
  }),
  host: stringVariable({
    name: 'HOST',
    default: '0.0.0.0',
    doc: 'Address to listen on.',
    example: '127.0.0.1',
  }),
  logLevel: enumVariable({
    name: 'LOG_LEVEL',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    doc: 'The least important log lines that are written.',
    example: 'warn',
  }),
  logFormat: enumVariable({
    name: 'LOG_FORMAT',
    words: ['auto', 'human', 'json'],
    default: 'auto',
    doc: 'Sentences for a person, or a JSON object a line. auto: sentences on a terminal.',
    example: 'json',
  }),
  device: enumVariable({
    name: 'DEVICE',
    words: ['cpu', 'cuda'],
    default: 'cpu',
    doc: 'Where models run. cuda needs an NVIDIA GPU and the CUDA libraries of onnxruntime.',
    example: 'cpu',
  }),
  verify: enumVariable({
    name: 'VERIFY_MODELS',
    words: ['full', 'quick'],
    default: 'full',
    doc: 'How model files are checked at start. full: every byte is hashed while the models load, and health waits for it. quick: presence, sizes and names only.',
    example: 'quick',
  }),
  prepared: enumVariable({
    name: 'PREPARED_MODELS',
    words: ['auto', 'off'],
    default: 'auto',
    doc: 'Whether forms of the models that `heimdex-inference prepare` has left in the volume are used. They load faster and give the same answers.',
    example: 'off',
  }),
  workersSpeech: workers('WORKERS_SPEECH', 'speech'),
  workersVision: workers('WORKERS_VISION', 'vision'),
  workersText: workers('WORKERS_TEXT', 'text'),
  workersFaces: workers('WORKERS_FACES', 'faces'),
  threads: integerVariable({
    name: 'WORKER_THREADS',
    min: 1,
    max: 256,
    doc: 'Threads of one run. Default: the cores there are (by the cgroup, 4 at most) over the workers of the role.',
    example: '1',
  }),
  memoryLimitGb: numberVariable({
    name: 'MEMORY_LIMIT_GB',
    default: 0,
    min: 0,
    max: 100_000,
    doc: 'Memory for the server and its workers, in GB of 1024 MiB. Models that do not fit are refused at start. 0: what the machine, or the cgroup, gives.',
    example: '4',
  }),
  workerMemoryLimitGb: numberVariable({
    name: 'WORKER_MEMORY_LIMIT_GB',
    default: 0,
    min: 0,
    max: 100_000,
    doc: 'A worker that has more memory of its own is ended and started again. 0: twice what its model needs and 2 GB.',
    example: '2',
  }),
  heartbeatSeconds: numberVariable({
    name: 'HEARTBEAT_SECONDS',
    default: 2,
    min: 0.01,
    max: 3600,
    doc: 'Workers are looked at this often: one that is stopped or stuck in three looks in a row is ended and started again.',
    example: '5',
  }),
  maxMessageMib: integerVariable({
    name: 'MAX_MESSAGE_MIB',
    default: 64,
    min: 1,
    max: 1024,
    doc: 'Largest request and response in MiB, decompressed.',
    example: '256',
  }),
  maxBatchItems: integerVariable({
    name: 'MAX_BATCH_ITEMS',
    default: 256,
    min: 1,
    max: 100_000,
    doc: 'Most texts or pictures a call.',
    example: '64',
  }),
  maxAudioSeconds: numberVariable({
    name: 'MAX_AUDIO_SECONDS',
    default: 14_400,
    min: 1,
    max: 1_000_000,
    doc: 'Longest recording of a call, in seconds.',
    example: '3600',
  }),
  maxImagePixels: integerVariable({
    name: 'MAX_IMAGE_PIXELS',
    default: 100_000_000,
    min: 1,
    max: 268_402_689,
    doc: 'Largest picture, width times height, checked before it is decoded.',
    example: '25000000',
  }),
  maxQueue: integerVariable({
    name: 'MAX_QUEUE',
    default: 1024,
    min: 1,
    max: 1_000_000,
    doc: 'Most items that wait for one model; more are refused at once with RESOURCE_EXHAUSTED.',
    example: '256',
  }),
  maxQueueSeconds: numberVariable({
    name: 'MAX_QUEUE_SECONDS',
    default: 30,
    min: 0.1,
    max: 3600,
    doc: 'Most work that waits for one model, in seconds by its measured speed; more is refused at once with RESOURCE_EXHAUSTED.',
    example: '10',
  }),
  streamIdleSeconds: numberVariable({
    name: 'STREAM_IDLE_SECONDS',
    default: 60,
    min: 0.05,
    max: 86_400,
    doc: 'A stream whose caller sends no audio while it is waited for, or reads no answer, for so long is ended.',
    example: '20',
  }),
  runTimeoutSeconds: numberVariable({
    name: 'RUN_TIMEOUT_SECONDS',
    default: 120,
    min: 0.1,
    max: 86_400,
    doc: 'A model that makes no progress in a run for so long is ended and started again.',
    example: '300',
  }),
  loadTimeoutSeconds: numberVariable({
    name: 'LOAD_TIMEOUT_SECONDS',
    default: 600,
    min: 1,
    max: 86_400,
    doc: 'Longest time for a model to load and warm up.',
    example: '1200',
  }),
  maxRestarts: integerVariable({
    name: 'MAX_RESTARTS',
    default: 5,
    min: 1,
    max: 1000,
    doc: "So many losses of a model's process in a row, without a run that succeeded, end the server.",
    example: '10',
  }),
  tlsCertFile: stringVariable({
    name: 'TLS_CERT_FILE',
    doc: "The server's certificate and its issuers' (PEM); with TLS_KEY_FILE it makes the port speak TLS. Read again when it changes.",
    example: '/run/secrets/tls.crt',
  }),
  tlsKeyFile: stringVariable({
    name: 'TLS_KEY_FILE',
    doc: "The certificate's private key (PEM).",
    example: '/run/secrets/tls.key',
  }),
  tlsClientCaFile: stringVariable({
    name: 'TLS_CLIENT_CA_FILE',
    doc: 'Issuers (PEM) of the certificates that callers must show; without it they need none.',
    example: '/run/secrets/clients.crt',
  }),
  authTokensFile: stringVariable({
    name: 'AUTH_TOKENS_FILE',
    doc: 'File of bearer tokens, one a line; calls must carry one. Health, liveness and metrics stay open. Read again when it changes.',
    example: '/run/secrets/tokens',
  }),
  corsOrigins: listVariable({
    name: 'CORS_ORIGINS',
    default: [],
    doc: 'Origins of web pages that may call, separated by commas; * for all.',
    example: 'https://search.example.com',
  }),
  maxConnectionAgeSeconds: numberVariable({
    name: 'MAX_CONNECTION_AGE_SECONDS',
    default: 3600,
    min: 0,
    max: 1_000_000,
    doc: 'A gRPC connection of this age is ended gently, so that callers spread over new servers. 0: never.',
    example: '600',
  }),
  otlpEndpoint: urlVariable({
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    doc: 'OTLP/HTTP collector that gets a trace of each call. Without it nothing is traced, and nothing is sent anywhere.',
    example: 'http://collector:4318',
  }),
  otelServiceName: stringVariable({
    name: 'OTEL_SERVICE_NAME',
    default: 'heimdex-inference',
    doc: "The server's name in traces.",
    example: 'search-inference',
  }),
  graceSeconds: numberVariable({
    name: 'SHUTDOWN_GRACE_SECONDS',
    default: 0,
    min: 0,
    max: 3600,
    doc: 'After SIGTERM: health says NOT_SERVING for so long while calls are still taken, so that load balancers look away.',
    example: '5',
  }),
  drainSeconds: numberVariable({
    name: 'SHUTDOWN_DRAIN_SECONDS',
    default: 30,
    min: 0,
    max: 3600,
    doc: 'After that: no new calls; those in progress have so long to end.',
    example: '60',
  }),
} as const;

const TLS_VARIABLES = {
  tlsCertFile: SERVER_VARIABLES.tlsCertFile,
  tlsKeyFile: SERVER_VARIABLES.tlsKeyFile,
  tlsClientCaFile: SERVER_VARIABLES.tlsClientCaFile,
};

function workers(name: string, role: Role) {
  return integerVariable({
    name,
    default: 1,
    min: 1,
    max: 64,
    doc: `Processes that serve the ${role} model. Each holds the model in memory.`,
    example: '2',
  });
}

export interface Config {
  readonly models: ModelEnvironment;
  readonly host: string;
  readonly port: number;
  readonly log: LogConfig;
  readonly device: 'cpu' | 'cuda';
  readonly verify: 'full' | 'quick';
  /** Whether prepared forms of the models are used where they fit. */
  readonly usePrepared: boolean;
  readonly workers: Readonly<Record<Role, number>>;
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
  };
  /** Undefined: nothing is traced. */
  readonly tracing: { readonly endpoint: string; readonly serviceName: string } | undefined;
  readonly shutdown: { readonly graceMs: number; readonly drainMs: number };
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
    device: values.device,
    verify: values.verify,
    usePrepared: values.prepared === 'auto',
    workers: {
      speech: values.workersSpeech,
      vision: values.workersVision,
      text: values.workersText,
      faces: values.workersFaces,
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
    },
    tracing:
      values.otlpEndpoint === undefined
        ? undefined
        : { endpoint: values.otlpEndpoint, serviceName: values.otelServiceName },
    shutdown: { graceMs: values.graceSeconds * 1000, drainMs: values.drainSeconds * 1000 },
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
const WORKER_VARIABLES = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES'];

function workerEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = WORKER_VARIABLES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  // Libraries in a worker must not even try: models are served offline. onnxruntime 1.30 for Linux sends telemetry to its
  // maker, and leaves files in TMPDIR for it, unless it is told not to.
  const offline = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', ORT_DISABLE_TELEMETRY: '1' };
  return { ...Object.fromEntries(kept), ...offline };
}
