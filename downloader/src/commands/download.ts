import type { LockedModel } from '@heimdex/cache';
import { reasonOf } from '../errors.js';
import { assertRoom, fetchBlobs, transferOptions } from '../fetch.js';
import { type Inventory, takeInventory } from '../inventory.js';
import { lockFound, lockPublished, updateLock } from '../locked.js';
import { type Plan, totalsOf } from '../plan.js';
import { preparePlan } from '../prepare.js';
import { type FetchTotals, startProgress } from '../progress/progress.js';
import { Publisher, publishCacheTag } from '../publish.js';
import { sayCount, saySize, sayTime } from '../words.js';
import type { CommandContext } from './context.js';

/** What a download did. */
export interface DownloadResult extends FetchTotals {
  readonly models: number;
  /** Files and bytes that needed nothing. */
  readonly presentFiles: number;
  readonly presentBytes: number;
  readonly durationMs: number;
}

/** Brings the volume to what is configured: manifest, inventory, plan, fetch, verify, publish. */
export async function download(context: CommandContext): Promise<DownloadResult> {
  const startedMs = performance.now();
  const { config, remote, signal, args } = context;
  const inventory = await takeInventory(config.models, { readBytes: args.check, signal });
  const plan = await preparePlan(inventory, remote, signal);
  const totals = plan.models.length === 0 ? NOTHING_FETCHED : await carryOut(context, plan);
  const published = await Promise.all(plan.models.map((model) => lockPublished(model, signal)));
  await writeLockFile(context, inventory, published);
  const { presentFiles, presentBytes } = totalsOf(plan);
  const durationMs = performance.now() - startedMs;
  const result = { ...totals, models: inventory.models.length, presentFiles, presentBytes, durationMs };
  summarise(context, result);
  return result;
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
  await assertRoom(cacheDir, plan);
  await publishCacheTag(cacheDir);
  const resumed = resumedBytes === 0 ? '' : `, going on from ${saySize(resumedBytes)} of an earlier run`;
  log.info(
    { event: 'start', files: fetchFiles, bytes: fetchBytes, cache: cacheDir },
    `Fetching ${sayCount(fetchFiles, 'file')}, ${saySize(fetchBytes)}${resumed}, into ${cacheDir}`,
  );
  const progress = startProgress(plan, screen, log);
  const publisher = new Publisher(cacheDir, plan.models);
  const bounds = { filesAtOnce: config.filesAtOnce, transfer: transferOptions(config, remote.retry) };
  try {
    await publisher.publishReady();
    await fetchBlobs(plan.blobs, bounds, progress, (blob) => publisher.blobDone(blob), signal);
  } finally {
    progress.stop();
  }
  return progress.totals;
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

function summarise({ log }: CommandContext, result: DownloadResult): void {
  const { fetchedFiles, networkBytes, resumedBytes, presentFiles, presentBytes, durationMs, models } = result;
  const facts = {
    event: 'summary',
    models,
    fetchedFiles,
    fetchedBytes: networkBytes,
    reusedFiles: presentFiles,
    reusedBytes: presentBytes + resumedBytes,
    seconds: Number((durationMs / 1000).toFixed(3)),
  };
  const time = sayTime(durationMs);
  const there = presentFiles === 0 ? '' : `; ${sayCount(presentFiles, 'file')}, ${saySize(presentBytes)} were there`;
  const resumed = resumedBytes === 0 ? '' : `; ${saySize(resumedBytes)} were left by an earlier run`;
  if (fetchedFiles === 0) {
    log.info(
      facts,
      `All ${sayCount(models, 'model')} are there: ${sayCount(presentFiles, 'file')}, ${saySize(presentBytes)}, checked in ${time}`,
    );
  } else {
    log.info(
      facts,
      `Downloaded ${sayCount(fetchedFiles, 'file')}, ${saySize(networkBytes)} in ${time}${resumed}${there}`,
    );
  }
}
