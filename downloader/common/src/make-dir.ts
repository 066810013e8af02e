import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './error-message.js';

/** Maximum depth of created directories; no system has longer paths. */
const MAX_DEPTH = 4096;

/**
 * Creates a directory and its parents, with the modes of the umask: a group that shares a cache has 002. mkdir's own `recursive` reports
 * ENOENT where the error is EROFS, and never ends below /proc. Rejects with the system's error about the directory that cannot be created.
 */
export async function makeDir(path: string, depth = 0): Promise<void> {
  try {
    await mkdir(path);
    return;
  } catch (error) {
    if (await isDir(path)) return;
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path || depth === MAX_DEPTH) throw error;
    if (!(await isDir(dirname(path)))) await makeDir(dirname(path), depth + 1);
  }
  try {
    await mkdir(path);
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
