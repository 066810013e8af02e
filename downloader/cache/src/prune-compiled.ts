/** Finds compiled models that no configured model needs. Pure. */
import { isAbandoned } from '@heimdex/common';
import { compiledKeyName } from './compiled-model.js';
import type { CompiledKey } from './compiled-types.js';
import type { ModelInspection } from './found-model.js';
import type { PruneStep } from './prune-types.js';
import type { CompiledDir } from './scan-compiled.js';

/**
 * Returns the steps for compiled models, which are all this program's own. One is kept if it is used, if a model that was not
 * found may need it, or if it is the same for other CPUs that share the volume. Temporary directories are kept
 * while they may be in use.
 */
export function pruneCompiled(
  dirs: readonly CompiledDir[],
  configured: readonly ModelInspection[],
  nowMs: number,
): PruneStep[] {
  return dirs.flatMap((dir): PruneStep[] => {
    const { path, sizeBytes: freedBytes, repository, manifest } = dir;
    const remove = (reason: PruneStep['reason']): PruneStep[] => [{ path, kind: 'directory', reason, freedBytes }];
    if (dir.isTemporary || manifest === undefined) {
      return isAbandoned(dir.modifiedMs, nowMs) ? remove('left by a compile that was killed') : [];
    }
    const models = configured.filter(
      (model) => model.repository === repository && model.configured.compile !== undefined,
    );
    if (models.length === 0) return remove('compiled for a model that is not configured');
    const used = models.map(({ found }) => found?.compiled);
    if (used.includes(undefined)) return [];
    const isUsed = used.some((key) => key !== undefined && nameForAnyCpu(key) === nameForAnyCpu(manifest));
    if (isUsed) return [];
    const isOfForm = used.some((key) => key?.compiler === manifest.compiler && key.precision === manifest.precision);
    return remove(isOfForm ? 'compiled from other files' : 'compiled by another version or in another precision');
  });
}

function nameForAnyCpu(key: CompiledKey): string {
  return compiledKeyName({ ...key, overflowSafe: true });
}
