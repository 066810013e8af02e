import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Directories above each other that are made at most; no path of a system has more. */
const MAX_DEPTH = 4096;

/**
 * Makes a directory, with those above it, that other users can read. mkdir's own `recursive` says ENOENT where the truth is
 * EROFS, and never ends below /proc. Rejects with the system's error about the directory that cannot be made.
 */
export async function makeDir(path: string, depth = 0): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 });
    return;
  } catch (error) {
    if (await isDir(path)) return;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!missing || dirname(path) === path || depth === MAX_DEPTH) throw error;
    if (!(await isDir(dirname(path)))) await makeDir(dirname(path), depth + 1);
  }
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    // Another process may have been faster.
    if (!(await isDir(path))) throw error;
  }
}

async function isDir(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
