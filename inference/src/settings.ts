/** The table of the server's own variables: names, defaults, bounds and what they mean. config.ts reads them. */
import {
  booleanVariable,
  enumVariable,
  integerVariable,
  listVariable,
  numberVariable,
  stringVariable,
  urlVariable,
  type Variable,
} from '@heimdex/cache';
import { ROLE_SPECS, ROLES, type Role, roleVariable } from './models/roles.js';

/** `WORKERS_<ROLE>` and `BATCH_<ROLE>`, one of each per role. */
const WORKERS = roleVariables('WORKERS', (name, role) =>
  integerVariable({
    name,
    min: 1,
    max: 64,
    doc: `Processes that serve the ${role} model. Each holds the model in memory. Default: by cores and memory, 1 to 8.`,
    example: '2',
  }),
);
const BATCHES = roleVariables('BATCH', (name, role) => {
  const { unit, usual, example } = ROLE_SPECS[role].batch;
  return integerVariable({
    name,
    min: 1,
    max: 1_000_000_000,
    doc: `${unit}; one item always runs. Default: ${usual}, less where memory is short.`,
    example,
  });
});

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
  ...WORKERS,
  threads: integerVariable({
    name: 'WORKER_THREADS',
    min: 1,
    max: 256,
    doc: 'Threads of one run. Default: the cores there are (by the cgroup), 4 at most, 1 for faces; fewer where more workers are set.',
    example: '1',
  }),
  ...BATCHES,
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
    doc: 'Workers are looked at this often: one that is stopped, or in a run neither works nor waits for a processor or a disk, in three looks in a row is ended and started again.',
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
    doc: 'Most texts or images a call.',
    example: '64',
  }),
  maxAudioSeconds: numberVariable({
    name: 'MAX_AUDIO_SECONDS',
    default: 14_400,
    min: 1,
    max: 1_000_000,
    doc: 'Longest audio of a call, in seconds.',
    example: '3600',
  }),
  maxImagePixels: integerVariable({
    name: 'MAX_IMAGE_PIXELS',
    default: 100_000_000,
    min: 1,
    max: 268_402_689,
    doc: 'Largest image, width times height, checked before it is decoded.',
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
    doc: 'A model that makes no progress in a run for so long is ended and started again. Time in which its process waited for a processor does not count (where there is /proc; elsewhere all time counts).',
    example: '300',
  }),
  loadTimeoutSeconds: numberVariable({
    name: 'LOAD_TIMEOUT_SECONDS',
    default: 600,
    min: 1,
    max: 86_400,
    doc: 'Longest time for a model to load and warm up, counted as RUN_TIMEOUT_SECONDS is.',
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
  openAi: booleanVariable({
    name: 'OPENAI_API',
    default: true,
    doc: "Whether the port speaks OpenAI's API as well: /v1/audio/transcriptions, /v1/audio/translations, /v1/embeddings, /v1/models, /openapi.json and /docs.",
    example: 'false',
  }),
  corsOrigins: listVariable({
    name: 'CORS_ORIGINS',
    default: [],
    doc: 'Origins of web pages that may call, separated by commas; * for all.',
    example: 'https://search.example.com',
  }),
  maxConnections: integerVariable({
    name: 'MAX_CONNECTIONS',
    default: 4096,
    min: 8,
    max: 1_000_000,
    doc: 'Most connections at a time; one address may have half of them. When there are more, those without a call make room.',
    example: '16384',
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

function roleVariables<Prefix extends string, Value>(
  prefix: Prefix,
  make: (name: string, role: Role) => Variable<Value>,
) {
  const entries = ROLES.map((role) => [roleVariable(prefix, role), make(roleVariable(prefix, role), role)] as const);
  return Object.fromEntries(entries) as Record<`${Prefix}_${Uppercase<Role>}`, Variable<Value>>;
}
