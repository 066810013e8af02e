import { realpath, stat, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isLinkRefused, LINKS_ADVICE, unlessGone } from '@heimdex/cache';
import { codeOf, formatBytes, isNotFound, isOutOfSpace, MIB, makeDir as makeDirIn, messageOf } from '@heimdex/common';
import { DownloaderError } from './errors.js';

/** Errors of a volume whichever call met them; other errors count only if they or the caller name a path. */
const REFUSED = new Set([
  'EACCES',
  'EBADF',
  'EBUSY',
  'EEXIST',
  'EIO',
  'EISDIR',
  'ELOOP',
  'EMFILE',
  'ENAMETOOLONG',
  'ENFILE',
  'ENODEV',
  'ENOTDIR',
  'ENXIO',
  'EPERM',
  'EROFS',
  'ESTALE',
]);

/** Remedies for the common errors. */
const REMEDIES: Readonly<Record<string, string>> = {
  EROFS: 'The volume is mounted read-only: mount it read-write for the downloader (the server only reads it)',
  EACCES: "The downloader's user may not access it: change its owner or mode, or the user",
  EPERM: "The downloader's user may not access it: change its owner or mode, or the user",
  ENOTDIR: 'A file is where a directory is expected: correct the variable that names the cache',
  EEXIST: 'A file is where a directory is expected: correct the variable that names the cache',
};
const USUAL_REMEDY = 'The downloader needs a volume that it can read and write: check its path, owner and mount';

/**
 * Converts a system error of the volume to a DownloaderError; returns any other error unchanged.
 *
 * @param left - What is left after an error of a full volume, for its message.
 */
export function asDiskError(error: unknown, path?: string, left = 'Bytes received so far are kept'): unknown {
  const code = codeOf(error);
  if (error instanceof DownloaderError || code === undefined) return error;
  const named = pathOf(error);
  const where = path ?? named ?? 'The volume';
  if (isOutOfSpace(error)) {
    const [problem, remedy] =
      code === 'EFBIG'
        ? [
            `${where} is larger than its file system (FAT: 4 GiB) or ulimit -f allows`,
            'use another file system or raise the limit',
          ]
        : [
            `The volume of ${where} is full`,
            'free space, or inodes if df -i shows that none are left (heimdex-downloader prune lists what no configured model needs)',
          ];
    const message = `${problem} (${code}). ${left}: ${remedy}, then run: heimdex-downloader download`;
    return new DownloaderError('DISK_FULL', message, { cause: error });
  }
  if (REFUSED.has(code) || ((path ?? named) !== undefined && /^(E[A-Z]+|Unknown system error -\d+)$/.test(code))) {
    return new DownloaderError(
      'DISK_FAILED',
      `${where} cannot be used: ${messageOf(error)}. ${isLinkRefused(error) ? LINKS_ADVICE : (REMEDIES[code] ?? USUAL_REMEDY)}; then run: heimdex-downloader download`,
      { cause: error },
    );
  }
  return error;
}

/** Returns a handler that rethrows a system error of the volume as a DownloaderError; see `asDiskError`. */
export function throwDiskError(path: string): (error: unknown) => never {
  return (error) => {
    throw asDiskError(error, path);
  };
}

/** Returns the path in a system error. */
function pathOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('path' in error)) return undefined;
  return typeof error.path === 'string' ? error.path : undefined;
}

/**
 * Returns the path of the regular file that an output replaces: a rename would replace a link instead of the file behind it, and a
 * device or a pipe, which gets nothing then. Undefined if it is no regular file.
 */
export async function outputPath(path: string): Promise<string | undefined> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return path;
  return info.isFile() ? realpath(path) : undefined;
}

/** Returns the size of a file, also behind a link; undefined if there is none that can be looked at. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const info = await stat(path);
    return info.isFile() ? info.size : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the bytes that this process may still write to the volume of a directory. */
async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (error) {
    if (!isNotFound(error) || dirname(dir) === dir) throw error;
    return freeBytes(dirname(dir));
  }
}

/** Kept free for journals, pointers and the file system's own data. */
const SPARE_BYTES = 16 * MIB;

/**
 * Throws if the bytes do not fit on the volume. Called before they are written.
 * Throws DownloaderError DISK_FULL.
 *
 * @param what - Participle for the message: `fetched and compiled`, `imported`.
 */
export async function assertFits(dir: string, bytes: number, what: string): Promise<void> {
  const problem = await lackOfSpace(dir, bytes, what);
  if (problem === undefined) return;
  throw new DownloaderError('DISK_FULL', `${problem}, then run: heimdex-downloader download`);
}

/** Returns what `assertFits` would throw; undefined if the bytes fit. A directory that does not exist will be on the volume of its parent. */
export async function lackOfSpace(dir: string, bytes: number, what: string): Promise<string | undefined> {
  if (bytes === 0) return undefined;
  const free = await freeBytes(dir);
  const lacking = bytes + SPARE_BYTES - free;
  if (lacking <= 0) return undefined;
  return `${formatBytes(bytes)} are to be ${what} and ${formatBytes(SPARE_BYTES)} kept free, but the volume of ${dir} has only ${formatBytes(free)} free: ${formatBytes(lacking)} too little. Free space (heimdex-downloader prune lists what no configured model needs) or choose smaller models`;
}

/**
 * Creates a directory and its parents, readable by other users.
 * Throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function makeDir(path: string): Promise<void> {
  await makeDirIn(path).catch(throwDiskError(path));
}

/**
 * Removes a file or a link, if it is there. Node.js' rm reports ENOTDIR where the directory's sticky bit keeps it to its user.
 * Throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function removeFile(path: string): Promise<void> {
  await unlessGone(unlink(path)).catch(throwDiskError(path));
}

/** Creates the directory of a file. */
export async function makeDirOf(path: string): Promise<void> {
  await makeDir(dirname(path));
}
