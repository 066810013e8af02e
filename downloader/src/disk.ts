import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDir as makeDirIn } from '@heimdex/cache';
import { formatBytes } from '@heimdex/common';
import { DownloaderError, errorMessage, systemCode } from './errors.js';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Errors of a volume whatever call met them; others count when they name a path. */
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

/** What to do about the usual ones. */
const REMEDIES: Readonly<Record<string, string>> = {
  EROFS:
    'The volume is mounted read-only: mount it so that the downloader may write (the server needs to read it only)',
  EACCES: "The downloader's user may not write there: change the directory's owner or mode, or the user",
  EPERM: "The downloader's user may not write there: change the directory's owner or mode, or the user",
  ENOTDIR: 'A file has the place of a directory: correct the variable that names the cache',
  EEXIST: 'A file has the place of a directory: correct the variable that names the cache',
};
const USUAL_REMEDY = 'The downloader needs a volume it may write to: check its path, owner and mount';

/** A system error of the volume as a DownloaderError; anything else unchanged. */
export function asDiskError(error: unknown, path?: string): unknown {
  const code = systemCode(error);
  if (error instanceof DownloaderError || code === undefined) return error;
  const named = pathOf(error);
  const where = path ?? named ?? 'The volume';
  if (FULL.has(code)) {
    return new DownloaderError(
      'DISK_FULL',
      `The volume of ${where} is full (${code}). What has come so far is kept: make room (heimdex-downloader prune lists what no configured model needs), then run: heimdex-downloader download`,
      { cause: error },
    );
  }
  if (REFUSED.has(code) || (named !== undefined && /^E[A-Z]+$/.test(code))) {
    return new DownloaderError(
      'DISK_FAILED',
      `${where} cannot be written: ${errorMessage(error)}. ${REMEDIES[code] ?? USUAL_REMEDY}; then run: heimdex-downloader download`,
      { cause: error },
    );
  }
  return error;
}

/** The path that a system error is about. */
function pathOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('path' in error)) return undefined;
  return typeof error.path === 'string' ? error.path : undefined;
}

/** Bytes that this process may still write to the volume of a directory that exists. */
export async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

/** Kept free beside what is written: journals, pointers, the file system's own. */
const SPARE_BYTES = 16 * 1024 * 1024;

/**
 * Refuses what does not fit on a volume, before the first byte.
 *
 * @param what - What is to be done with the bytes: `fetched`, `imported`.
 * @throws DownloaderError DISK_FULL.
 */
export async function assertFits(dir: string, bytes: number, what: string): Promise<void> {
  if (bytes === 0) return;
  const free = await freeBytes(dir);
  const lacking = bytes + SPARE_BYTES - free;
  if (lacking <= 0) return;
  throw new DownloaderError(
    'DISK_FULL',
    `${formatBytes(bytes)} are to be ${what} and the volume of ${dir} has ${formatBytes(free)} free: ${formatBytes(lacking)} too little. Make room (heimdex-downloader prune lists what no configured model needs) or choose smaller models, then run: heimdex-downloader download`,
  );
}

/**
 * Makes a directory, with those above it, that other users can read.
 *
 * @throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function makeDir(path: string): Promise<void> {
  try {
    await makeDirIn(path);
  } catch (error) {
    throw asDiskError(error, path);
  }
}

/** Makes the directory of a file. */
export async function makeDirOf(path: string): Promise<void> {
  await makeDir(dirname(path));
}
