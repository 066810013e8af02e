/** Hosts one configured model: its queue and, once started, its worker pool. */
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { WorkerSize } from './capacity/sizing.js';
import type { Config } from './config/config.js';
import { FatalError } from './exit-codes.js';
import type { ConfiguredModel } from './models/find.js';
import { type AnySpec, SPECS } from './models/registry.js';
import { deviceOf } from './models/roles.js';
import { preparedOptions } from './models/session/optimized/use.js';
import type { CoreShare } from './runner/core-share.js';
import { cachedReading } from './runner/memory.js';
import { Pool, type PoolOptions } from './runner/pool.js';
import type { QueueObserver } from './scheduling/dispatcher.js';
import { ModelQueue } from './scheduling/model-queue.js';
import type { ServedModel } from './services/engine.js';

/** Path of the worker program. */
export const WORKER_PROGRAM = fileURLToPath(new URL('./worker/main.js', import.meta.url));

/** Watchdog samples per ping of an idle worker. */
const SAMPLES_PER_PING = 5;

export interface HostOptions {
  readonly config: Config;
  readonly size: WorkerSize;
  /** The cores that the workers of all models share. */
  readonly cores: CoreShare;
  readonly log: Logger;
  /** Default WORKER_PROGRAM. */
  readonly workerProgram?: string | undefined;
  /** Maximum private memory of a worker. */
  readonly maxWorkerBytes: number;
  readonly observer: QueueObserver;
  /** Called when a worker becomes ready or is lost. */
  changed(): void;
  /** Called if the model cannot be served. */
  failed(error: FatalError): void;
}

export interface Host {
  readonly served: ServedModel;
  /** Number of worker restarts. */
  restarts(): number;
  /** Starts the first worker. Call once. */
  start(): void;
  /** Starts the other workers, if any. Call once, after `start`. */
  grow(): void;
  /** Kills the workers. Idempotent. */
  close(): Promise<void>;
}

export function createHost(model: ConfiguredModel, options: HostOptions): Host {
  const { config } = options;
  const { role, family, files } = model;
  // Not type-checked here: the services submit the items of the role's family, and the queue passes them through.
  const spec: AnySpec = SPECS[family];
  const { costUnit } = spec;
  const device = deviceOf(role, config.device);
  const healthName = spec.healthName(files.id);
  const { workers, threads, batchCost } = options.size;
  const modelQueue = new ModelQueue<unknown, unknown>({
    ...spec,
    name: healthName,
    limits: { maxItems: config.limits.maxQueue, maxWaitMs: config.limits.maxQueueMs },
    batch: { maxItems: 1, maxCost: batchCost, maxPadding: spec.batch.maxPadding },
    now: () => performance.now(),
    readyInMs: () => pool?.readyInMs ?? 0,
    observer: options.observer,
  });
  let pool: Pool | undefined;
  const served: ServedModel = {
    role,
    family,
    healthName,
    files,
    modelQueue,
    device,
    workers,
    threads,
    batchCost,
    costUnit,
    get facts() {
      return pool?.facts;
    },
    get loadSeconds() {
      return pool?.loadSeconds ?? 0;
    },
    // Health, the metrics and GetServerInfo, which wait in no queue, read it.
    memoryBytes: cachedReading(async () => (await pool?.memoryBytes()) ?? 0),
  };
  return {
    served,
    restarts: () => pool?.restarts ?? 0,
    start: () => {
      pool = startPool(served, model, options);
    },
    grow: () => pool?.grow(),
    close: async () => pool?.close(),
  };
}

/** Starts the model's workers, which take items from its queue. */
function startPool(served: ServedModel, model: ConfiguredModel, options: HostOptions): Pool {
  const { healthName, role, files, modelQueue, workers, threads, batchCost, costUnit } = served;
  const { config, log, size } = options;
  const { id, revision } = files;
  log.info({ model: healthName, role, id, revision, workers, threads, batchCost, costUnit }, 'loading');
  return new Pool({
    name: healthName,
    workers,
    wideWorkers: size.wideWorkers,
    worker: workerOptions(model, options),
    maxLosses: config.worker.maxRestarts,
    log,
    ready: (executor, facts) => {
      modelQueue.limitBatch(facts.batching.maxItems);
      modelQueue.addExecutor(executor);
      options.changed();
    },
    lost: (executor) => {
      modelQueue.removeExecutor(executor);
      options.changed();
    },
    failed: (message) => options.failed(new FatalError('worker', message)),
  });
}

/** What each worker of the model is started with. */
function workerOptions(model: ConfiguredModel, options: HostOptions): PoolOptions['worker'] {
  const { config, size } = options;
  const { role, family, files } = model;
  const { worker, models, verify } = config;
  return {
    program: options.workerProgram ?? WORKER_PROGRAM,
    env: config.workerEnv,
    family,
    files,
    cores: options.cores,
    load: {
      device: deviceOf(role, config.device),
      threads: size.threads,
      sharedThreads: size.sharedThreads,
      maxImagePixels: config.limits.maxImagePixels,
      ...(config.useOptimized ? { prepared: preparedOptions(models.cacheDir, model, verify) } : {}),
    },
    limits: {
      loadMs: worker.loadTimeoutMs,
      hangMs: worker.runTimeoutMs,
      heartbeatMs: worker.heartbeatMs * SAMPLES_PER_PING,
      watchMs: worker.heartbeatMs,
      maxOwnBytes: options.maxWorkerBytes,
    },
  };
}
