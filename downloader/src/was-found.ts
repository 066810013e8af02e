import { isSameEntry, type LockedModel, type ModelsLock } from '@heimdex/cache';
import type { Plan, PlannedFile } from './plan.js';

/**
 * Returns whether this program downloaded a model's weights. If they were on the volume before, other programs may need them
 * and `prune` keeps them. An earlier run's entry in the lock file stays valid.
 */
export function wasFound(
  model: Pick<LockedModel, 'role' | 'entry' | 'repository'>,
  plan: Plan,
  lock: ModelsLock | undefined,
): boolean {
  const before = lock?.models.filter(({ repository }) => repository === model.repository) ?? [];
  if (before.length > 0) return before.every(({ found }) => found === true);
  const planned = plan.models.find(({ remoteFiles: { state } }) => isSameEntry(state.configured, model));
  if (planned === undefined) return true;
  // A checkpoint outside of the repository does not count for the repository's directory.
  const files = planned.files.filter(({ offered }) => offered.volumePath === undefined);
  const checkpoint = new Set(planned.remoteFiles.checkpoint?.paths);
  const weights = files.filter(({ offered: { file } }) => file.weights !== undefined || checkpoint.has(file.path));
  return !(weights.length > 0 ? weights.some(isFetched) : files.every(isFetched));
}

function isFetched({ blob }: PlannedFile): boolean {
  return blob.action === 'fetch';
}
