import { join } from 'node:path';
import { readTree, repoPath } from '@heimdex/cache';
import { type CacheState, type ModelState, needsFetching, withDamaged } from './cache-state.js';
import { fileSize } from './disk.js';
import { isOffline } from './offline.js';

/**
 * Marks what models on the volume lack although their repositories have it, by the tree list that Python left: it fetches what it is asked
 * for, and an optional file, such as the pooling of a sentence embedder, changes the answers. Locked models have all that they are to have.
 */
export async function withListedFiles(cacheState: CacheState): Promise<CacheState> {
  const { environment } = cacheState;
  if (isOffline(environment)) return cacheState;
  const models = cacheState.models.map(async (state): Promise<ModelState> => {
    const { locked, inspection, configured } = state;
    const { repository, revision } = inspection;
    if (locked !== undefined || revision === undefined || configured.layout === 'plain') return state;
    // Any other is fetched with them.
    if (needsFetching(state)) return state;
    const tree = await readTree(environment.cacheDir, repository, revision);
    const missing = inspection.files.filter(({ file, found }) => found === undefined && tree?.has(file.path));
    if (missing.length === 0) return state;
    const damaged = new Set([...state.damaged, ...missing.map(({ file }) => file.path)]);
    return withDamaged(state, damaged);
  });
  return { ...cacheState, models: await Promise.all(models) };
}

/** Says how the vectors of a sentence embedder are made of its network's. */
const MODULES = 'modules.json';

/** Whether another program left a sentence embedder without modules.json, and nothing on the volume says that its repository has none. */
export async function mayLackModules({ environment, lock }: CacheState, state: ModelState): Promise<boolean> {
  const { cacheDir } = environment;
  const { inspection, configured } = state;
  const { repository, revision, files } = inspection;
  if (configured.family !== 'sentence' || revision === undefined) return false;
  if (needsFetching(state)) return false;
  // Locked in any precision, it was fetched with them or warned of.
  if (lock?.models.some((model) => model.repository === repository && model.revision === revision)) return false;
  if (!files.some(({ file, found }) => file.path === MODULES && found === undefined)) return false;
  const tree = await readTree(cacheDir, repository, revision);
  if (tree !== undefined) return tree.has(MODULES);
  const recorded = join(repoPath(cacheDir, repository), '.no_exist', revision, MODULES);
  return (await fileSize(recorded)) === undefined;
}
