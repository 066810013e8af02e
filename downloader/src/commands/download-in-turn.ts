import { type ConfiguredModel, isSameEntry, readLock } from '@heimdex/cache';
import type { CacheState } from '../cache-state.js';
import { assertFits, makeDir } from '../disk.js';
import { sumOf } from '../metrics.js';
import type { Plan } from '../plan.js';
import { costsOf, howFilled, plansInTurn } from '../turns.js';
import type { CommandContext } from './context.js';
import { type DownloadTotals, downloadAndLock } from './download-and-lock.js';

/**
 * Runs a plan. If checkpoints are removed after compiling (KEEP_CHECKPOINTS=false), processes one repository at a time: the
 * next one is fetched once the previous checkpoint has been removed.
 *
 * @param notLocked - See `downloadAndLock`.
 */
export async function downloadInTurn(
  context: CommandContext,
  cacheState: CacheState,
  plan: Plan,
  notLocked?: ReadonlySet<ConfiguredModel>,
): Promise<DownloadTotals> {
  await assertRoom(context, plan);
  const [first, ...later] = context.config.keepCheckpoints ? [plan] : plansInTurn(plan);
  if (first === undefined || later.length === 0) return downloadAndLock(context, cacheState, plan, notLocked);
  const turns = later.map((part) => ({ part, models: modelsOf(part, cacheState) }));
  const rest = cacheState.models.filter((model) => !turns.some(({ models }) => models.includes(model)));
  let totals = await downloadAndLock(context, { ...cacheState, models: rest }, first, notLocked);
  for (const { part, models } of turns) {
    const lock = await readLock(cacheState.environment.lockPath);
    totals = sumOf(totals, await downloadAndLock(context, { ...cacheState, lock, models }, part, notLocked));
  }
  return totals;
}

/** Nothing is fetched that could not be compiled for lack of room. */
async function assertRoom({ config: { models, keepCheckpoints } }: CommandContext, plan: Plan): Promise<void> {
  const costs = costsOf(plan, keepCheckpoints);
  if (costs.peakBytes === 0) return;
  await makeDir(models.cacheDir);
  await assertFits(models.cacheDir, costs.peakBytes, howFilled(costs));
}

function modelsOf({ compile, models }: Plan, cacheState: CacheState): CacheState['models'] {
  const planned = [...compile, ...models.map(({ remoteFiles }) => remoteFiles.state)].map(
    ({ configured }) => configured,
  );
  return cacheState.models.filter(({ configured }) => planned.some((model) => isSameEntry(model, configured)));
}
