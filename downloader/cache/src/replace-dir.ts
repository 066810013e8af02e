import { rename, rm } from 'node:fs/promises';
import { codeOf } from '@heimdex/common';
import { unlessGone } from './if-there.js';

/**
 * Gives a complete directory its final name, in the place of what has that name. If another process does the same at the same time, one of
 * the two stays, and the other is removed or left to the caller. Rejects with the system's error.
 */
export async function replaceDir(dir: string, final: string): Promise<void> {
  if (await tryRename(dir, final)) return;
  // Out of the way for a moment only.
  const former = `${dir}-former`;
  try {
    await unlessGone(rename(final, former));
  } catch (error) {
    // Of an image's layer below, an overlay file system moves no directory (Docker's has no redirect_dir).
    if (codeOf(error) !== 'EXDEV') throw error;
    await rm(final, { recursive: true, force: true });
  }
  try {
    await tryRename(dir, final);
  } finally {
    await rm(former, { recursive: true, force: true });
  }
}

/** Renames a directory; false if there is one of that name that is not empty, or a link to one. */
async function tryRename(dir: string, final: string): Promise<boolean> {
  try {
    await rename(dir, final);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}
