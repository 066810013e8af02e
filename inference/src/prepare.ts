/**
 * The `prepare` command, the only one that writes to the volume: creates optimized models, which this machine loads faster. The
 * server only reads them, and works without them.
 */

import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { CacheError, type OptimizedRecord, optimizedDir, optimizedSources, recordOptimized } from '@heimdex/cache';
import { isOutOfSpace, makeDir, messageOf } from '@heimdex/common';
import type { Logger } from 'pino';
import { readMachine } from './capacity/machine.js';
import { sizesOf } from './capacity/model-sizes.js';
import type { Config } from './config/config.js';
import { FatalError } from './exit-codes.js';
import { WORKER_PROGRAM } from './host.js';
import { type ConfiguredModel, findModels, verifyModels } from './models/find.js';
import { SPECS } from './models/registry.js';
import { graphBytes } from './models/session/optimized/size.js';
import { preparedOptions, TOO_SMALL } from './models/session/optimized/use.js';
import { CoreShare } from './runner/core-share.js';
import { WorkerProcess, type WorkerReady } from './runner/worker-process.js';

export interface PrepareOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Graphs with fewer bytes are skipped. */
  readonly minBytes: number;
  /** Whether compiled models that one worker serves are prepared too, for several servers on one machine. */
  readonly all: boolean;
  readonly stop: AbortSignal;
}

const IDLE_MS = 60_000;

/**
 * Optimizes all configured models sequentially, each in a separate process, and verifies each optimized model by a run. A model
 * that cannot be optimized is only a warning: it is served from its original files. Throws a FatalError if the volume is not
 * writable, and the errors of findModels if a model is missing or damaged.
 */
export async function prepare(options: PrepareOptions): Promise<void> {
  const { config, stop } = options;
  // The server may run as another user and must be able to read these files: a strict umask would prevent it.
  process.umask(process.umask() & 0o022);
  if (config.device === 'cuda') {
    options.log.info('Nothing to prepare: optimized models are for the CPU');
    return;
  }
  const models = await findModels(config.models);
  // An optimized model made from a damaged file would hide the damage.
  if (config.verify === 'full') await verifyModels(models, stop);
  const root = optimizedDir(config.models.cacheDir);
  try {
    await makeDir(root);
  } catch (cause) {
    // As where there is room for the directory but not for a model: it is served from its original files.
    if (!isOutOfSpace(cause)) throw unwritable(root, cause);
  }
  const sizes = sizesOf(models, config, readMachine());
  for (const model of models) {
    if (stop.aborted) throw interrupted();
    const shared = options.all || (sizes.get(model.role)?.workers ?? 1) > 1;
    await prepareModel(model, root, { ...options, shared });
  }
}

/** Adds the optimized models to the lock file: the server uses only the ones listed there. */
async function record(optimized: readonly OptimizedRecord[], { config }: PrepareOptions): Promise<void> {
  const { lockPath, cacheDir } = config.models;
  if (optimized.length === 0) return;
  try {
    await recordOptimized(lockPath, cacheDir, optimized);
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw unwritable(`the lock file ${lockPath} (MODELS_LOCK)`, cause);
  }
}

function unwritable(target: string, cause: unknown): FatalError {
  const remedy = isOutOfSpace(cause)
    ? 'Free space, or inodes if df -i shows that none are left'
    : 'prepare needs write access to the volume; the server only reads it';
  return new FatalError('models', `Cannot write ${target}: ${messageOf(cause)}. ${remedy}.`, { cause });
}

function interrupted(): FatalError {
  return new FatalError('interrupted', 'interrupted; the models prepared so far are kept');
}

/** `shared`: whether several processes serve the model. */
type ModelOptions = PrepareOptions & { readonly shared: boolean };

async function prepareModel(model: ConfiguredModel, root: string, options: ModelOptions): Promise<void> {
  const { log } = options;
  const name = SPECS[model.family].healthName(model.files.id);
  const paths = Object.values(model.files.weights);
  const sizes = await Promise.all(paths.map(graphBytes));
  if (sizes.every((bytes) => bytes < options.minBytes)) {
    // Not loaded: prepare may run before each start of the server.
    for (const path of paths) log.info({ model: name, graph: basename(path) }, `Skipped: ${TOO_SMALL}`);
    return;
  }
  const dirs = [...optimizedSources(model.found).values()].map((source) => join(root, source));
  const before = await dirsIn(dirs);
  const startedAtMs = performance.now();
  try {
    const { graphs } = await loadOnce(model, options);
    const refusal = graphs.find(({ unwritable }) => unwritable === true);
    if (refusal !== undefined) throw unwritable(`optimized models in ${root}`, refusal.reason);
    await record(
      graphs.flatMap(({ made }) => made ?? []),
      options,
    );
    for (const { graph, prepared, madeBytes: bytes, reason } of graphs) {
      const otherwise = prepared ? 'Already prepared' : `Skipped: ${reason}`;
      log.info({ model: name, graph, bytes }, bytes === undefined ? otherwise : 'Prepared');
    }
  } catch (error) {
    if (error instanceof FatalError || error instanceof CacheError) throw error;
    // Removes optimized models with which the model does not run, and what a killed worker left: twice the model's size.
    const made = (await dirsIn(dirs)).filter((dir) => !before.includes(dir));
    for (const dir of made) await rm(dir, { recursive: true, force: true });
    if (options.stop.aborted) throw interrupted();
    log.warn({ model: name, err: error }, 'Not prepared; the model is served from its original files');
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  log.debug({ model: name }, `Took ${seconds.toFixed(2)}s`);
}

/** Loads and warms up the model as the server does, and creates the missing optimized models. */
async function loadOnce(
  model: ConfiguredModel,
  { config, log, minBytes, shared, stop }: ModelOptions,
): Promise<WorkerReady> {
  const { family, files } = model;
  const prepared = { ...preparedOptions(config.models.cacheDir, model, 'full'), make: { minBytes, shared } };
  const worker = new WorkerProcess({
    program: WORKER_PROGRAM,
    env: config.workerEnv,
    family,
    files,
    cores: new CoreShare(Number.POSITIVE_INFINITY),
    load: { device: 'cpu', threads: config.threads ?? 1, maxImagePixels: config.limits.maxImagePixels, prepared },
    limits: {
      loadMs: config.worker.loadTimeoutMs,
      hangMs: config.worker.runTimeoutMs,
      heartbeatMs: IDLE_MS,
      watchMs: IDLE_MS,
      // While it saves the model, it holds it more than twice.
      maxOwnBytes: Number.MAX_SAFE_INTEGER,
    },
    output: (line) => log.warn({ model: files.id }, line),
    // It only loads.
    slow: () => {},
  });
  const kill = () => worker.kill('prepare was interrupted');
  stop.addEventListener('abort', kill, { once: true });
  try {
    return await worker.ready;
  } finally {
    stop.removeEventListener('abort', kill);
    worker.kill('the model is prepared');
    await worker.ended;
  }
}

async function dirsIn(parents: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const parent of parents) {
    try {
      found.push(...(await readdir(parent)).map((name) => join(parent, name)));
    } catch {
      // Nothing was prepared from this source.
    }
  }
  return found;
}
