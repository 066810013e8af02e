/**
 * The one command that writes to the volume: it leaves the models in the form in which this machine loads them fastest. The
 * server only reads those forms, and works without them.
 */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  CacheError,
  makeDir,
  type OptimizedRecord,
  optimizedDir,
  optimizedSources,
  recordOptimized,
} from '@heimdex/cache';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { FatalError } from './exit-codes.js';
import { WORKER_PROGRAM } from './host.js';
import { type ConfiguredModel, findModels, verifyModels } from './models/find.js';
import { SPECS } from './models/registry.js';
import { preparedOptions } from './models/session/optimized/options.js';
import { graphBytes } from './models/session/optimized/size.js';
import { TOO_SMALL } from './models/session/optimized/use.js';
import { WorkerProcess, type WorkerReady } from './runner/worker-process.js';

export interface PrepareOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Graphs with fewer bytes are left as they are. */
  readonly minBytes: number;
  readonly stop: AbortSignal;
}

const IDLE_MS = 60_000;

/**
 * Prepares every configured model, one after the other, each in a process of its own, and proves each form by a real run. A
 * model that cannot be prepared is a warning, for it can be served as it is. Throws a FatalError when the volume cannot be
 * written, and as findModels does when a model is missing or damaged.
 */
export async function prepare(options: PrepareOptions): Promise<void> {
  const { config, stop } = options;
  if (config.device === 'cuda') {
    options.log.info('Nothing is prepared: a GPU keeps its weights in an order of its own');
    return;
  }
  const models = await findModels(config.models);
  // A form of damaged bytes would hide the damage.
  if (config.verify === 'full') await verifyModels(models, stop);
  const root = optimizedDir(config.models.cacheDir);
  try {
    await makeDir(root);
  } catch (cause) {
    throw unwritable(root, cause);
  }
  for (const model of models) {
    if (stop.aborted) throw new FatalError('interrupted', 'interrupted; what was prepared is kept');
    await prepareModel(model, root, options);
  }
}

/** Names the forms in the lock file: what is not named there the server does not use. */
async function record(made: readonly OptimizedRecord[], { config }: PrepareOptions): Promise<void> {
  const { lockPath, cacheDir } = config.models;
  if (made.length === 0) return;
  try {
    await recordOptimized(lockPath, cacheDir, made);
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw unwritable(`the lock file ${lockPath} (MODELS_LOCK)`, cause);
  }
}

function unwritable(what: string, cause: unknown): FatalError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FatalError(
    'models',
    `${what} cannot be made: ${reason}. prepare writes to the volume: mount it so that this user may write; the server then reads it only.`,
    { cause },
  );
}

async function prepareModel(model: ConfiguredModel, root: string, options: PrepareOptions): Promise<void> {
  const { log } = options;
  const name = SPECS[model.family].healthName(model.files.id);
  const paths = Object.values(model.files.weights);
  const sizes = await Promise.all(paths.map(graphBytes));
  if (sizes.every((bytes) => bytes < options.minBytes)) {
    // Without loading it: this runs before each start of a server.
    for (const path of paths) log.info({ model: name, graph: basename(path) }, `Left as it is: ${TOO_SMALL}`);
    return;
  }
  const places = [...optimizedSources(model.found).values()].map((source) => join(root, source));
  const before = await dirsIn(places);
  const startedAtMs = performance.now();
  try {
    const { graphs } = await loadOnce(model, options);
    const refusal = graphs.find(({ unwritable }) => unwritable === true);
    if (refusal !== undefined) throw unwritable(`forms in ${root}`, refusal.reason);
    await record(
      graphs.flatMap(({ made }) => made ?? []),
      options,
    );
    for (const { graph, prepared, madeBytes: bytes, reason } of graphs) {
      if (bytes !== undefined) log.info({ model: name, graph, bytes }, 'Prepared');
      else if (prepared) log.info({ model: name, graph }, 'Was prepared before');
      else log.info({ model: name, graph }, `Left as it is: ${reason}`);
    }
  } catch (error) {
    if (error instanceof FatalError || error instanceof CacheError) throw error;
    if (options.stop.aborted) return;
    // A form with which the model does not run is worse than none.
    for (const dir of await dirsIn(places)) {
      if (!before.includes(dir)) await rm(dir, { recursive: true, force: true });
    }
    log.warn({ model: name, err: error }, 'Not prepared; it is served from its plain files');
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  log.debug({ model: name }, `Took ${seconds.toFixed(2)}s`);
}

/** Loads and warms the model as a server would, except that what is not prepared is made. */
async function loadOnce(model: ConfiguredModel, { config, log, minBytes, stop }: PrepareOptions): Promise<WorkerReady> {
  const { family, files } = model;
  const prepared = { ...preparedOptions(config.models.cacheDir, model, 'full'), make: { minBytes } };
  const worker = new WorkerProcess({
    program: WORKER_PROGRAM,
    env: config.workerEnv,
    family,
    files,
    load: { device: 'cpu', threads: config.threads ?? 1, maxImagePixels: config.limits.maxImagePixels, prepared },
    limits: {
      loadMs: config.worker.loadTimeoutMs,
      hangMs: config.worker.runTimeoutMs,
      heartbeatMs: IDLE_MS,
      watchMs: IDLE_MS,
      // It holds the model twice, and more, while it saves it.
      maxOwnBytes: Number.MAX_SAFE_INTEGER,
    },
    output: (line) => log.warn({ model: files.id }, line),
  });
  const end = () => worker.kill('preparing was interrupted');
  stop.addEventListener('abort', end, { once: true });
  try {
    return await worker.ready;
  } finally {
    stop.removeEventListener('abort', end);
    worker.kill('it is prepared');
    await worker.ended;
  }
}

async function dirsIn(places: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const place of places) {
    try {
      found.push(...(await readdir(place)).map((name) => join(place, name)));
    } catch {
      // Nothing was prepared of it.
    }
  }
  return found;
}
