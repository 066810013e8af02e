import { type ConfiguredModel, readLock } from '@heimdex/cache';
import type { CacheState } from '../cache-state.js';
import type { Plan } from '../plan.js';
import { plansInTurn } from '../turns.js';
import type { CommandContext } from './context.js';
import { downloadAndLock } from './download-and-lock.js';

/**
 * Carries a plan out. Where checkpoints go once they are compiled (KEEP_CHECKPOINTS=false), one repository after the other: the next
 * one is fetched when the checkpoint before has made room for it.
 *
 * @param notLocked - As `downloadAndLock` has it.
 */
export async function downloadInTurn(
  context: CommandContext,
  cacheState: CacheState,
  plan: Plan,
  notLocked?: ReadonlySet<ConfiguredModel>,
): Promise<Awaited<ReturnType<typeof downloadAndLock>>> {
  const [first, ...later] = context.config.keepCheckpoints ? [plan] : plansInTurn(plan);
  if (first === undefined || later.length === 0) return downloadAndLock(context, cacheState, plan, notLocked);
  const turns = later.map((part) => ({ part, models: modelsOf(part, cacheState) }));
  const rest = cacheState.models.filter((model) => !turns.some(({ models }) => models.includes(model)));
  let totals = await downloadAndLock(context, { ...cacheState, models: rest }, first, notLocked);
  for (const { part, models } of turns) {
    const lock = await readLock(cacheState.environment.lockPath);
    totals = sum(totals, await downloadAndLock(context, { ...cacheState, lock, models }, part, notLocked));
  }
  return totals;
}

function modelsOf({ compile, models }: Plan, cacheState: CacheState): CacheState['models'] {
  const planned = [...compile, ...models.map(({ remoteFiles }) => remoteFiles.state)].map(
    ({ configured }) => configured,
  );
  return cacheState.models.filter(({ configured: { role, entry } }) =>
    planned.some((one) => one.role === role && one.entry === entry),
  );
}

function sum<Totals extends object>(one: Totals, other: Totals): Totals {
  const added = Object.entries(one).map(([name, value]) => [name, value + other[name as keyof Totals]]);
  return Object.fromEntries(added) as Totals;
}
