import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { CacheError } from './errors.js';
import { unlessGone } from './if-there.js';

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

/**
 * Throws PATH_UNSAFE if a file of the cache, or the directory for one that is not there yet, is a link to where no reader would follow it.
 *
 * @param path - The path of a blob or of a plain file, below `cacheDir`.
 */
export async function assertInsideCache(cacheDir: string, path: string): Promise<void> {
  const dir = await unlessGone(realpath(dirname(path)));
  if (dir === undefined) return;
  const real = (await unlessGone(realpath(path))) ?? join(dir, basename(path));
  if ((await linkEscapeReason(cacheDir, path, real)) === undefined) return;
  const isDirLink = (await lstat(dirname(path))).isSymbolicLink();
  const [link, target] = isDirLink ? [dirname(path), dir] : [path, real];
  throw new CacheError(
    'PATH_UNSAFE',
    `${link} is a link to ${target}, which is not read: links may lead only to the blobs of the same repository and to the cache's shared store. Put the bytes in its place, or let HF_HUB_CACHE name a cache on the other disk, then run: heimdex-downloader plan`,
    { path: link, variable: 'HF_HUB_CACHE' },
  );
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
