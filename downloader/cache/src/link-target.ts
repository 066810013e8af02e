import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/**
 * Returns why the file behind `path` must not be read, or undefined if it may. Symbolic links may point only where the hub cache
 * creates them: into the blobs of the same repository or the store shared by repositories (`blobs/<2 digits>/<hash>` in the
 * cache's root). Otherwise whoever can create a link on the volume could read files that only this program's user can read.
 * A file outside of any repository may link to anything in the cache.
 *
 * @param path - The pointer of a snapshot or the plain file, below `cacheDir`.
 * @param real - The same path with all links followed.
 */
export async function linkEscapeReason(cacheDir: string, path: string, real: string): Promise<string | undefined> {
  const root = await realpath(cacheDir);
  const [first = '', ...below] = relative(cacheDir, path).split(sep);
  if (below.length === 0 || !isRepositoryDir(first))
    return isInside(root, real) ? undefined : leadsOut(real, 'the cache');
  const repository = await realpath(join(cacheDir, first));
  const allowed = [join(repository, 'blobs'), join(repository, 'snapshots'), join(root, 'blobs')];
  return allowed.some((dir) => isInside(dir, real)) ? undefined : leadsOut(real, "its repository's blobs");
}

/** OpenAI's files are in their own directory, `whisper`. */
function isRepositoryDir(name: string): boolean {
  return name.startsWith('models--');
}

function isInside(dir: string, path: string): boolean {
  return path.startsWith(`${dir}${sep}`);
}

function leadsOut(real: string, where: string): string {
  return `it is a link to ${real}, outside of ${where}`;
}
