import {
  blobLockPath,
  type ConfiguredModel,
  inspectModel,
  isCompiledPath,
  isSameEntry,
  type LockedModel,
  readLock,
  withLockedModels,
} from '@heimdex/cache';
import { formatBytes, formatCount, messageOf } from '@heimdex/common';
import { acquireLock, type HeldLock, whileHeld } from '../blob-lock.js';
import { type CacheState, lockedFile, type ModelState } from '../cache-state.js';
import { makeDir } from '../disk.js';
import { fetchBlobs, transferOptions } from '../fetch.js';
import { lockFound, lockPublished, updateLock } from '../lock-entries.js';
import { lockEvents } from '../lock-events.js';
import { NOTHING_FETCHED } from '../metrics.js';
import { fetchText, type Plan, type PlannedModel, totalsOf } from '../plan.js';
import { FetchProgress, type FetchTotals } from '../progress/fetch-progress.js';
import { assertLinks, Publisher, publishCacheTag } from '../publish.js';
import { recordVerified, verifiedHashes } from '../record-verified.js';
import { HashThread } from '../transfer/hash-thread.js';
import { wasFound } from '../was-found.js';
import type { CommandContext } from './context.js';

/** Result of running a plan. */
export interface DownloadTotals extends FetchTotals {
  /** Models compiled by this run; excludes models that another process compiled meanwhile. */
  readonly compiledModels: number;
}

/**
 * Runs a plan: fetches, verifies and publishes the files, compiles, then writes the lock file.
 *
 * @param notLocked - Models on the volume whose bytes cannot be verified.
 */
export async function downloadAndLock(
  context: CommandContext,
  cacheState: CacheState,
  plan: Plan,
  notLocked: ReadonlySet<ConfiguredModel> = new Set(),
): Promise<DownloadTotals> {
  const totals = plan.models.length === 0 ? { ...NOTHING_FETCHED, resumedBytes: 0 } : await carryOut(context, plan);
  const { locked: compiled, models: compiledModels } = await compileAll(context, plan, cacheState, notLocked);
  const downloaded = plan.models.filter(({ remoteFiles }) => remoteFiles.state.configured.compile === undefined);
  const published = await Promise.all(downloaded.map((model) => lockPublished(model, context.signal)));
  const models = cacheState.models.filter(({ configured }) => !notLocked.has(configured));
  const noted = [...published, ...compiled].map((model) => recordFound(model, plan, cacheState));
  await writeLockFile(context, { ...cacheState, models }, plan, noted);
  if (!context.config.keepCheckpoints) await dropCheckpoints(context, plan, notLocked);
  return { ...totals, compiledModels };
}

function recordFound(model: LockedModel, plan: Plan, { lock }: CacheState): LockedModel {
  return wasFound(model, plan, lock) ? { ...model, found: true } : model;
}

/** KEEP_CHECKPOINTS=false: removes checkpoints of models that are compiled and locked. */
async function dropCheckpoints(
  context: CommandContext,
  plan: Plan,
  notLocked: ReadonlySet<ConfiguredModel>,
): Promise<void> {
  const fetched = new Set(plan.blobs.filter(({ action }) => action === 'fetch').map(({ finalPath }) => finalPath));
  for (const model of [...plan.models.map(asFetched), ...[...plan.compile, ...plan.complete].map(asFound)]) {
    const { configured } = model;
    if (configured.compile === undefined || notLocked.has(configured)) continue;
    // A volume without a checkpoint may be read-only, and needs no lock.
    const { found, checkpoint } = (await readState(context, model)).inspection;
    if (found?.compiled === undefined || checkpoint === undefined) continue;
    const { dropCheckpoint } = await import('../compile/drop-checkpoints.js');
    // Another process may be compiling from it, or has removed it meanwhile.
    await underLock(context, configured, async () => dropCheckpoint(context, await readState(context, model), fetched));
  }
}

/** Compiles fetched checkpoints and those already on the volume; returns the lock file's entries. */
async function compileAll(
  context: CommandContext,
  plan: Plan,
  cacheState: CacheState,
  notLocked: ReadonlySet<ConfiguredModel>,
): Promise<{ readonly locked: readonly LockedModel[]; readonly models: number }> {
  const alsoKnown = await compiledAtAnother(plan, context.signal);
  const toCompile = [...plan.models.map(asFetched), ...plan.compile.map(asFound)].filter(
    ({ configured }) => configured.compile !== undefined,
  );
  if (toCompile.length === 0) return { locked: [], models: 0 };
  const { compileModel } = await import('../compile/compile-models.js');
  const verified = await verifiedHashes(plan);
  const locked: LockedModel[] = [];
  let models = 0;
  for (const model of toCompile) {
    const { configured } = model;
    const done = await underLock(context, configured, async ({ isAlone }) => {
      const state = await readState(context, model, alsoKnown);
      if (state.inspection.found === undefined || isDamaged(cacheState, configured)) {
        await compileModel(context, state, verified, isAlone);
        models += 1;
      }
      return readState(context, model, alsoKnown);
    });
    const [problem] = done.inspection.problems;
    if (problem !== undefined) throw problem;
    const entry = notLocked.has(configured) ? undefined : await lockFound(done, context.signal);
    if (entry !== undefined) locked.push(entry);
  }
  return { locked, models };
}

/** Returns the records, at their new commits, of models whose compiled form on the volume is that of another commit. */
async function compiledAtAnother({ models }: Plan, signal: AbortSignal): Promise<readonly LockedModel[]> {
  const records = models.map(async ({ remoteFiles: { isCompiled, state, commit } }) => {
    const record = isCompiled === true ? await lockFound(state, signal) : undefined;
    return record === undefined || commit === undefined ? [] : [{ ...record, revision: commit }];
  });
  return (await Promise.all(records)).flat();
}

/** Returns whether a compiled file was read and has wrong bytes. */
function isDamaged({ models }: CacheState, model: ConfiguredModel): boolean {
  const state = models.find(({ configured }) => isSameEntry(configured, model));
  return [...(state?.damaged ?? [])].some(isCompiledPath);
}

/** Only one process compiles per repository: a second one finds it done, and incomplete output has no owner. */
async function underLock<T>(
  context: CommandContext,
  { id }: ConfiguredModel,
  work: (lock: HeldLock) => Promise<T>,
): Promise<T> {
  const { config, log, signal } = context;
  const path = blobLockPath(config.models.cacheDir, id, 'compile');
  const events = lockEvents(log, `Another process is compiling ${id}; waiting for it`);
  const lock = await acquireLock(path, events, signal);
  return whileHeld(lock, () => work(lock));
}

/**
 * A model of a plan at its commit, which need not be that of the lock file, or of the branch on the volume: another program may have moved it.
 * For a name that may mean two layouts, the plan has the repository's actual one.
 */
interface ModelAtCommit {
  readonly configured: ConfiguredModel;
  readonly commit: string | undefined;
}

function asFetched({ remoteFiles: { state, commit } }: PlannedModel): ModelAtCommit {
  return { configured: state.configured, commit };
}

function asFound({ configured, inspection }: ModelState): ModelAtCommit {
  return { configured, commit: inspection.revision };
}

/** Reads the current state of a model on the volume. */
async function readState(
  { config, signal }: CommandContext,
  { configured, commit }: ModelAtCommit,
  alsoKnown: readonly LockedModel[] = [],
): Promise<ModelState> {
  const { cacheDir, cacheDirVariable, lockPath } = config.models;
  const known = withLockedModels(await readLock(lockPath), alsoKnown);
  const inspection = await inspectModel(cacheDir, configured, { known, commit, cacheDirVariable, signal });
  return { configured, locked: undefined, inspection, damaged: new Set() };
}

async function carryOut(context: CommandContext, plan: Plan): Promise<FetchTotals> {
  const { config, remote, log, screen, signal } = context;
  const { cacheDir } = config.models;
  const { fetchFiles, fetchBytes, resumedBytes } = totalsOf(plan);
  await makeDir(cacheDir);
  await publishCacheTag(cacheDir);
  if (plan.models.some(({ remoteFiles }) => remoteFiles.commit !== undefined)) await assertLinks(cacheDir);
  const resumed = resumedBytes === 0 ? '' : `, resuming ${formatBytes(resumedBytes)} of an earlier run`;
  log.info(
    { event: 'start', files: fetchFiles, bytes: fetchBytes, cache: cacheDir },
    `Fetching ${formatCount(fetchFiles, 'file')}, ${fetchText(plan)}${resumed}, into ${cacheDir}`,
  );
  const progress = new FetchProgress(plan, screen, log);
  const hashing = new HashThread();
  const publisher = new Publisher(cacheDir, plan.models);
  const bounds = { filesAtOnce: config.filesAtOnce, transfer: transferOptions(config, remote.retry, hashing.open) };
  try {
    await publisher.publishReady();
    await fetchBlobs(plan.blobs, bounds, progress, (blob) => publisher.blobDone(blob), signal);
  } finally {
    progress.stop();
    const { fetchedFiles, networkBytes, retries } = progress.totals;
    context.count({ fetchedFiles, networkBytes, retries });
    await hashing.close();
  }
  await recordVerified(
    context,
    plan.blobs.filter((blob) => blob.action !== 'keep'),
  );
  return progress.totals;
}

/** Whether a record is that of an export whose repository has become a checkpoint, or the reverse: it would still be served. */
function isFormer(model: LockedModel, { models }: Plan): boolean {
  return models.some(
    ({ remoteFiles: { state, formerVariant } }) =>
      formerVariant === model.variant && isSameEntry(state.configured, model),
  );
}

/** Whether the lock file names another compiled form than the one found: that of another version of this program. */
function isLockedOtherwise({ locked, inspection }: ModelState): boolean {
  const compiled = inspection.found?.files.filter(({ path }) => isCompiledPath(path)) ?? [];
  return compiled.some(({ path, hash }) => lockedFile(locked, path)?.sha256 !== hash?.value);
}

async function writeLockFile(
  context: CommandContext,
  cacheState: CacheState,
  plan: Plan,
  published: readonly LockedModel[],
): Promise<void> {
  const { log, signal } = context;
  const toLock = cacheState.models.filter((model) => model.locked === undefined || isLockedOtherwise(model));
  const fresh = [...published];
  for (const model of toLock) {
    if (published.some((other) => other.role === model.configured.role)) continue;
    const locked = await lockFound(model, signal);
    if (locked !== undefined) fresh.push(recordFound(locked, plan, cacheState));
  }
  const { lockPath } = cacheState.environment;
  const events = lockEvents(log, 'Another process is writing the lock file; waiting for it');
  const failure = await updateLock(lockPath, fresh, events, signal, (model) => isFormer(model, plan));
  if (failure !== undefined) {
    log.warn(
      { event: 'lock-file' },
      `All models are on the volume, but the lock file could not be written: ${messageOf(failure)}`,
    );
  }
}
