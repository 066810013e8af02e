/** The server's environment variables: names, defaults, limits and documentation. config.ts reads them. */
import {
  booleanVariable,
  enumVariable,
  integerVariable,
  numberVariable,
  originsVariable,
  stringVariable,
  urlVariable,
  type Variable,
} from '@heimdex/cache';
import { ROLE_SPECS, ROLES, type Role, roleVariable } from '../models/roles.js';

/** `WORKERS_<ROLE>` and `BATCH_<ROLE>`, one of each per role. */
const WORKERS = roleVariables('WORKERS', (name, role) =>
  integerVariable({
    name,
    min: 1,
    max: 64,
    doc: `Worker processes of the ${role} model. Each has the model in memory. Default: by cores and memory, 1 to 8.`,
    example: '2',
  }),
);
const BATCHES = roleVariables('BATCH', (name, role) => {
  const { unit, usual, example } = ROLE_SPECS[role].batch;
  return integerVariable({
    name,
    min: 1,
    max: 1_000_000_000,
    doc: `${unit}; a single item always runs. Default: ${usual}, less if memory is short.`,
    example,
  });
});

/** The server's variables, besides those shared with the downloader. --help and docs/reference.md are generated from this table. */
export const SERVER_VARIABLES = {
  port: integerVariable({
    name: 'PORT',
    default: 8001,
    min: 0,
    max: 65535,
    doc: 'Port for gRPC, gRPC-Web, Connect, health and metrics. 0: any free port; the log shows it.',
    example: '8001',
  }),
  host: stringVariable({
    name: 'HOST',
    default: '0.0.0.0',
    doc: 'Address to listen on; by default all of IPv4. For IPv6 as well, set :: instead.',
    example: '127.0.0.1',
  }),
  logLevel: enumVariable({
    name: 'LOG_LEVEL',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    doc: 'Minimum level of log lines.',
    example: 'warn',
  }),
  logFormat: enumVariable({
    name: 'LOG_FORMAT',
    words: ['auto', 'human', 'json'],
    default: 'auto',
    doc: 'Human-readable lines, or one JSON object per line. auto: human on a terminal, else json.',
    example: 'json',
  }),
  verify: enumVariable({
    name: 'VERIFY_MODELS',
    words: ['full', 'quick'],
    default: 'full',
    doc: 'How model files are verified at start. full: all files are hashed while the models load, and health waits for it. quick: only presence, sizes and names.',
    example: 'quick',
  }),
  prepared: enumVariable({
    name: 'PREPARED_MODELS',
    words: ['auto', 'off'],
    default: 'auto',
    doc: 'Whether to use the optimized models that `heimdex-inference prepare` wrote to the volume. They load faster and produce the same results.',
    example: 'off',
  }),
  ...WORKERS,
  threads: integerVariable({
    name: 'WORKER_THREADS',
    min: 1,
    max: 256,
    doc: 'Threads per run. Default: the available cores (by the cgroup), at most 4, 2 for faces; fewer if more workers are set.',
    example: '1',
  }),
  ...BATCHES,
  memoryLimitGb: numberVariable({
    name: 'MEMORY_LIMIT_GB',
    default: 0,
    min: 0,
    max: 100_000,
    doc: 'Memory limit of the server and its workers, in GB of 1024 MiB. The server does not start if the models do not fit. 0: the memory of the machine or the cgroup.',
    example: '4',
  }),
  workerMemoryLimitGb: numberVariable({
    name: 'WORKER_MEMORY_LIMIT_GB',
    default: 0,
    min: 0,
    max: 100_000,
    doc: 'Maximum private memory per worker; above it the worker is restarted. 0: twice what its model needs plus 2 GB.',
    example: '2',
  }),
  heartbeatSeconds: numberVariable({
    name: 'HEARTBEAT_SECONDS',
    default: 2,
    min: 0.01,
    max: 3600,
    doc: 'Interval of the worker health check. A worker that fails three checks in a row is restarted: it is stopped, or in a run it neither works nor waits for a CPU or a disk.',
    example: '5',
  }),
  maxMessageMib: integerVariable({
    name: 'MAX_MESSAGE_MIB',
    default: 64,
    min: 1,
    max: 1024,
    doc: 'Maximum size of a request or response in MiB, decompressed.',
    example: '256',
  }),
  maxBatchItems: integerVariable({
    name: 'MAX_BATCH_ITEMS',
    default: 256,
    min: 1,
    max: 100_000,
    doc: 'Maximum texts or images per call.',
    example: '64',
  }),
  maxAudioSeconds: numberVariable({
    name: 'MAX_AUDIO_SECONDS',
    default: 14_400,
    min: 1,
    max: 1_000_000,
    doc: 'Maximum audio duration per call, in seconds.',
    example: '3600',
  }),
  maxImagePixels: integerVariable({
    name: 'MAX_IMAGE_PIXELS',
    default: 100_000_000,
    min: 1,
    max: 268_402_689,
    doc: 'Maximum image size, width times height, checked before decoding.',
    example: '25000000',
  }),
  maxQueue: integerVariable({
    name: 'MAX_QUEUE',
    default: 1024,
    min: 1,
    max: 1_000_000,
    doc: 'Maximum queued items per model; further calls are refused immediately with RESOURCE_EXHAUSTED. Bulk items do not count against interactive calls.',
    example: '256',
  }),
  maxQueueSeconds: numberVariable({
    name: 'MAX_QUEUE_SECONDS',
    default: 30,
    min: 0.1,
    max: 3600,
    doc: 'Maximum queued work per model, in seconds at its measured speed; further calls are refused immediately with RESOURCE_EXHAUSTED. Bulk work does not count against interactive calls.',
    example: '10',
  }),
  streamIdleSeconds: numberVariable({
    name: 'STREAM_IDLE_SECONDS',
    default: 60,
    min: 0.05,
    max: 86_400,
    doc: 'Idle timeout of a stream, in either direction.',
    example: '20',
  }),
  runTimeoutSeconds: numberVariable({
    name: 'RUN_TIMEOUT_SECONDS',
    default: 120,
    min: 0.1,
    max: 86_400,
    doc: 'Maximum time without progress in a run; after it the worker is restarted. Time waiting for a CPU does not count (with /proc; otherwise all time counts).',
    example: '300',
  }),
  loadTimeoutSeconds: numberVariable({
    name: 'LOAD_TIMEOUT_SECONDS',
    default: 600,
    min: 1,
    max: 86_400,
    doc: 'Maximum time without progress while a model is loaded or prepared (a graph opened, a file saved, the warm-up done). Counted as for RUN_TIMEOUT_SECONDS.',
    example: '1200',
  }),
  maxRestarts: integerVariable({
    name: 'MAX_RESTARTS',
    default: 5,
    min: 1,
    max: 1000,
    doc: "The server exits when a model's worker has died this many times in a row while it started, if no other worker of the model is ready.",
    example: '10',
  }),
  tlsCertFile: stringVariable({
    name: 'TLS_CERT_FILE',
    doc: 'Certificate chain of the server (PEM); together with TLS_KEY_FILE it enables TLS. Reloaded when it changes. Refused while it is not valid, for example expired.',
    example: '/run/secrets/tls.crt',
  }),
  tlsKeyFile: stringVariable({
    name: 'TLS_KEY_FILE',
    doc: 'Private key of the certificate (PEM).',
    example: '/run/secrets/tls.key',
  }),
  tlsClientCaFile: stringVariable({
    name: 'TLS_CLIENT_CA_FILE',
    doc: 'CA certificates (PEM) for client certificates; if set, callers must present one.',
    example: '/run/secrets/clients.crt',
  }),
  authTokensFile: stringVariable({
    name: 'AUTH_TOKENS_FILE',
    doc: 'File of bearer tokens, one per line; calls must send one. Health, liveness and metrics need none. Reloaded when it changes.',
    example: '/run/secrets/tokens',
  }),
  openAi: booleanVariable({
    name: 'OPENAI_API',
    default: true,
    doc: "Whether the port speaks OpenAI's API as well: /v1/audio/transcriptions, /v1/audio/translations, /v1/embeddings, /v1/models, /openapi.json and /docs.",
    example: 'false',
  }),
  playground: booleanVariable({
    name: 'PLAYGROUND',
    default: false,
    doc: 'Whether GET / is a page to try the server in a browser.',
    example: 'true',
  }),
  corsOrigins: originsVariable({
    name: 'CORS_ORIGINS',
    doc: 'Allowed CORS origins, separated by commas; * for all.',
    example: 'https://search.example.com',
  }),
  maxConnections: integerVariable({
    name: 'MAX_CONNECTIONS',
    default: 4096,
    min: 8,
    max: 1_000_000,
    doc: 'Maximum concurrent connections; one address may use half of them. Above the limit, connections without a call are closed.',
    example: '16384',
  }),
  // Whole seconds: with an age of milliseconds no call would find a connection that stays open.
  maxConnectionAgeSeconds: integerVariable({
    name: 'MAX_CONNECTION_AGE_SECONDS',
    default: 3600,
    min: 0,
    max: 1_000_000,
    doc: 'Maximum age of a gRPC connection; then it is closed gracefully, which spreads callers over new servers. 0: unlimited.',
    example: '600',
  }),
  otlpEndpoint: urlVariable({
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    doc: 'OTLP/HTTP collector for traces, one per call. Without it, tracing is off and nothing is sent.',
    example: 'http://collector:4318',
  }),
  otelServiceName: stringVariable({
    name: 'OTEL_SERVICE_NAME',
    default: 'heimdex-inference',
    doc: 'Service name in traces.',
    example: 'search-inference',
  }),
  graceSeconds: numberVariable({
    name: 'SHUTDOWN_GRACE_SECONDS',
    default: 0,
    min: 0,
    max: 3600,
    doc: 'After SIGTERM: time in which health reports NOT_SERVING while calls are still accepted, for load balancers to react.',
    example: '5',
  }),
  drainSeconds: numberVariable({
    name: 'SHUTDOWN_DRAIN_SECONDS',
    default: 30,
    min: 0,
    max: 3600,
    doc: 'After the grace time: maximum time for calls in progress to finish; new calls are refused.',
    example: '60',
  }),
} as const;

function roleVariables<Prefix extends string, Value>(
  prefix: Prefix,
  make: (name: string, role: Role) => Variable<Value>,
) {
  const entries = ROLES.map((role) => [roleVariable(prefix, role), make(roleVariable(prefix, role), role)] as const);
  return Object.fromEntries(entries) as Record<`${Prefix}_${Uppercase<Role>}`, Variable<Value>>;
}
