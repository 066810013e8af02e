import type { LockedModel, ModelsLock } from '@heimdex/cache';
import type { Plan, PlannedFile } from './plan.js';

/**
 * Whether a model's weights were on the volume before this program brought any: other programs may need them, and `prune`
 * leaves them. What an earlier run locked as its own stays its own.
 */
export function wasFound(
  model: Pick<LockedModel, 'role' | 'entry' | 'repository'>,
  plan: Plan,
  lock: ModelsLock | undefined,
): boolean {
  const before = lock?.models.filter(({ repository }) => repository === model.repository) ?? [];
  if (before.length > 0) return before.every(({ found }) => found === true);
  const planned = plan.models.find(
    ({ remoteFiles: { state } }) => state.configured.role === model.role && state.configured.entry === model.entry,
  );
  if (planned === undefined) return true;
  // A checkpoint outside of the repository says nothing of the repository's directory.
  const files = planned.files.filter(({ offered }) => offered.volumePath === undefined);
  const checkpoint = new Set(planned.remoteFiles.checkpoint?.paths);
  const weights = files.filter(({ offered: { file } }) => file.weights !== undefined || checkpoint.has(file.path));
  return !(weights.length > 0 ? weights.some(isFetched) : files.every(isFetched));
}

function isFetched({ blob }: PlannedFile): boolean {
  return blob.action === 'fetch';
}
