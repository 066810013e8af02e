import { unlessGone } from './if-there.js';
import { isCommit, refPath } from './layout.js';
import { lockedModel, type ModelsLock } from './lock-file.js';
import type { ConfiguredModel } from './manifest-types.js';
import { readText } from './read-text.js';

/**
 * Of a name's two layouts in the lock file at different commits, as after an import, returns the second if the volume's branch is at its
 * commit: the repository has become what it was not.
 */
export async function currentLayout(
  cacheDir: string,
  first: ConfiguredModel,
  lock: ModelsLock | undefined,
): Promise<ConfiguredModel> {
  const { otherwise } = first;
  const former = lockedModel(lock, first);
  const locked = otherwise && lockedModel(lock, otherwise);
  if (otherwise === undefined || locked === undefined || locked.revision === former?.revision) return first;
  if (former === undefined || locked.repository !== former.repository) return first;
  const branch = await readRef(cacheDir, locked.repository, locked.requestedRevision).catch(() => undefined);
  return branch === locked.revision ? otherwise : first;
}

/**
 * Returns the commit of a branch or tag at download time; undefined if there is none. Throws the system's error if it cannot be
 * read.
 */
export async function readRef(cacheDir: string, repository: string, revision: string): Promise<string | undefined> {
  const commit = (await unlessGone(readText(refPath(cacheDir, repository, revision))))?.trim() ?? '';
  return isCommit(commit) ? commit : undefined;
}
