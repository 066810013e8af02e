import { rm } from 'node:fs/promises';
import { relative } from 'node:path';
import {
  type CacheContents,
  didYouMean,
  lstatIfThere,
  type PrunePlan,
  planPrune,
  recordOptimized,
  scanCache,
  scanCompiled,
  scanOptimized,
} from '@heimdex/cache';
import { formatBytes, formatCount, visible } from '@heimdex/common';
import { readCacheState } from '../cache-state.js';
import { removeFile, throwDiskError } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { whileNoneDownloads } from '../volume-lock.js';
import type { CommandContext } from './context.js';

/** The steps for what is there. */
interface Removal extends PrunePlan {
  readonly isEmpty: boolean;
}

/** Shows what no configured model needs, and removes it with --yes. */
export async function prune(context: CommandContext): Promise<undefined> {
  const { config, args, print, log } = context;
  const { cacheDir } = config.models;
  let plan = await planRemoval(context);
  if (args.yes && plan.steps.length > 0) {
    plan = await whileNoneDownloads(context, async () => {
      // Another process may have locked meanwhile what nothing needed before.
      const now = await planRemoval(context);
      await remove(context, now);
      // While no download writes the lock file: its records would be lost.
      await forgetOptimized(context);
      return now;
    });
  } else if (args.yes) await forgetOptimized(context);
  print(args.json ? document(plan, args.yes) : words(cacheDir, plan, args.yes, args.repositories));
  if (!args.yes) return;
  log.info(
    { event: 'pruned', steps: plan.steps.length, bytes: plan.freedBytes },
    `Freed ${formatBytes(plan.freedBytes)}`,
  );
}

async function planRemoval({ config, args, signal }: CommandContext): Promise<Removal> {
  const { cacheDir, manifest } = config.models;
  const cacheState = await readCacheState(config.models, { signal });
  const inspections = cacheState.models.map(({ inspection }) => inspection);
  const contents = await scanCache(cacheDir);
  assertThere(contents, args.repositories);
  const planned = planPrune(contents, inspections, manifest(), {
    nowMs: Date.now(),
    lock: cacheState.lock,
    named: args.repositories,
    prepared: await scanOptimized(cacheDir),
    compiled: await scanCompiled(cacheDir),
  });
  // A commit need not have a tree list, nor files that it is known not to have.
  const there = await Promise.all(planned.steps.map(({ path }) => lstatIfThere(path)));
  const steps = planned.steps.filter((_, index) => there[index] !== undefined);
  return { ...planned, steps, isEmpty: contents.sizeBytes === 0 };
}

/** Throws DownloaderError USAGE for a repository that is not on the volume, with those that are. */
function assertThere({ cacheDir, repositories }: CacheContents, named: readonly string[]): void {
  const known = repositories.filter(({ kind }) => kind === 'models').map(({ repository }) => repository);
  const unknown = named.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const there = known.length === 0 ? 'it has no models' : `it has ${known.join(', ')}`;
  throw new DownloaderError(
    'USAGE',
    `--repository ${unknown}: ${cacheDir} has no such repository; ${there}${didYouMean(unknown, known)} See: heimdex-downloader list`,
  );
}

async function remove(context: CommandContext, { steps }: PrunePlan): Promise<void> {
  for (const { path, kind } of steps) {
    context.signal.throwIfAborted();
    if (kind === 'file') await removeFile(path);
    else await rm(path, { recursive: true, force: true }).catch(throwDiskError(path));
  }
}

/** Removes the lock file's records of deleted optimized models. */
async function forgetOptimized({ config }: CommandContext): Promise<void> {
  const { lockPath, cacheDir } = config.models;
  await recordOptimized(lockPath, cacheDir).catch(throwDiskError(lockPath));
}

function document(plan: PrunePlan, removed: boolean) {
  return {
    removed,
    bytes: plan.freedBytes,
    steps: plan.steps.map(({ path, kind, reason, freedBytes }) => ({ path, kind, reason, bytes: freedBytes })),
    kept: plan.kept.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes })),
  };
}

function words(cacheDir: string, plan: Removal, removed: boolean, named: readonly string[]): string {
  const kept = plan.kept.map(({ name, sizeBytes }) => {
    const next = name.includes('/') ? `; to remove it: heimdex-downloader prune --repository ${visible(name)}` : '';
    return `keeping  ${visible(name)}  (${formatBytes(sizeBytes)}; no configured model needs it, and this program did not download it${next})\n`;
  });
  if (plan.steps.length === 0) {
    const needed = plan.isEmpty ? 'nothing is there' : 'configured models need all of it';
    const why = kept.length === 0 ? needed : 'the rest is needed or was not downloaded by this program';
    return `${kept.join('')}Nothing to remove from ${cacheDir}: ${why}.\n`;
  }
  const lines = plan.steps.map(({ path, reason, freedBytes }) => {
    const size = freedBytes === 0 ? '' : `, ${formatBytes(freedBytes)}`;
    return `${removed ? 'removed' : 'would remove'}  ${visible(relative(cacheDir, path))}  (${reason}${size})`;
  });
  const items = formatCount(plan.steps.length, 'item');
  lines.push(
    removed
      ? `${items}, ${formatBytes(plan.freedBytes)}.`
      : `${items}, ${formatBytes(plan.freedBytes)}. Nothing was removed; to remove them, run: heimdex-downloader prune${named.map((name) => ` --repository ${name}`).join('')} --yes`,
  );
  return `${kept.join('')}${lines.join('\n')}\n`;
}
