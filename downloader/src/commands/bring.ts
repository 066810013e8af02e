import type { ConfiguredModel, LockedModel } from '@heimdex/cache';
import { assertFits, makeFolder } from '../disk.js';
import { reasonOf } from '../errors.js';
import { fetchBlobs, transferOptions } from '../fetch.js';
import type { Inventory } from '../inventory.js';
import { lockFound, lockPublished, updateLock } from '../locked.js';
import { type Plan, totalsOf } from '../plan.js';
import { type FetchTotals, startProgress } from '../progress/progress.js';
import { noteProved } from '../prove.js';
import { Publisher, publishCacheTag } from '../publish.js';
import { HashThread } from '../transfer/hash-thread.js';
import { sayCount, saySize } from '../words.js';
import type { CommandContext } from './context.js';

/**
 * Carries a plan out: fetch, prove, publish, and then the lock file.
 *
 * @param notLocked - Models that are there and whose bytes nothing proves.
 */
export async function bringAndLock(
  context: CommandContext,
  inventory: Inventory,
  plan: Plan,
  notLocked: ReadonlySet<ConfiguredModel> = new Set(),
): Promise<FetchTotals> {
  const totals = plan.models.length === 0 ? NOTHING_FETCHED : await carryOut(context, plan);
  const published = await Promise.all(plan.models.map((model) => lockPublished(model, context.signal)));
  const models = inventory.models.filter(({ configured }) => !notLocked.has(configured));
  await writeLockFile(context, { ...inventory, models }, published);
  return totals;
}

const NOTHING_FETCHED: FetchTotals = {
  fetchedFiles: 0,
  networkBytes: 0,
  resumedBytes: 0,
  reusedFiles: 0,
  reusedBytes: 0,
  retries: 0,
};

async function carryOut(context: CommandContext, plan: Plan): Promise<FetchTotals> {
  const { config, remote, log, screen, signal } = context;
  const { cacheDir } = config.models;
  const { fetchFiles, fetchBytes, resumedBytes } = totalsOf(plan);
  await makeFolder(cacheDir);
  await assertFits(cacheDir, fetchBytes, 'fetched');
  await publishCacheTag(cacheDir);
  const resumed = resumedBytes === 0 ? '' : `, going on from ${saySize(resumedBytes)} of an earlier run`;
  log.info(
    { event: 'start', files: fetchFiles, bytes: fetchBytes, cache: cacheDir },
    `Fetching ${sayCount(fetchFiles, 'file')}, ${saySize(fetchBytes)}${resumed}, into ${cacheDir}`,
  );
  const progress = startProgress(plan, screen, log);
  const hashing = new HashThread();
  const publisher = new Publisher(cacheDir, plan.models);
  const bounds = { filesAtOnce: config.filesAtOnce, transfer: transferOptions(config, remote.retry, hashing.open) };
  try {
    await publisher.publishReady();
    await fetchBlobs(plan.blobs, bounds, progress, (blob) => publisher.blobDone(blob), signal);
  } finally {
    progress.stop();
    await hashing.close();
  }
  await noteProofs(context, plan);
  return progress.totals;
}

async function noteProofs({ config, log }: CommandContext, plan: Plan): Promise<void> {
  try {
    const proved = plan.blobs.filter((blob) => blob.action !== 'keep');
    await noteProved(config.models.cacheDir, proved);
  } catch (error) {
    log.debug({ event: 'proofs' }, `What was proved could not be noted: ${reasonOf(error)}`);
  }
}

async function writeLockFile(
  context: CommandContext,
  inventory: Inventory,
  published: readonly LockedModel[],
): Promise<void> {
  const { log, signal } = context;
  const unlocked = inventory.models.filter(
    (model) => model.inspection.found !== undefined && model.locked === undefined,
  );
  const fresh = [...published];
  for (const model of unlocked) {
    if (published.some((other) => other.role === model.configured.role)) continue;
    const locked = await lockFound(model, signal);
    if (locked !== undefined) fresh.push(locked);
  }
  const { lockPath } = inventory.environment;
  const failure = await updateLock(lockPath, inventory.lock, fresh);
  if (failure !== undefined) {
    log.warn(
      { event: 'lock-file' },
      `All models are there, but the lock file could not be written: ${reasonOf(failure)}`,
    );
  }
}
