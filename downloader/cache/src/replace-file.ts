import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDir } from '@heimdex/common';
import { makeReadable } from './make-readable.js';

/**
 * Writes a text file atomically, readable by every user regardless of the umask. Creates its directory. Rejects with the system's
 * error; the file is then as it was.
 *
 * @param besides - The temporary file is next to this path: one on the same volume.
 */
export async function replaceFile(path: string, text: string, besides = path): Promise<void> {
  await makeDir(dirname(path));
  const temporary = temporaryPath(besides);
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await makeReadable(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Returns a temporary path next to the final one, since a rename must stay on the volume. In a snapshot it exists only briefly. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${randomBytes(4).toString('hex')}.heimdex.tmp`);
}
