import { randomBytes } from 'node:crypto';
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDir } from '@heimdex/common';

/**
 * Writes a text file atomically, readable by every user regardless of the umask. Creates its directory. Rejects with the system's
 * error; the file is then as it was.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  await makeDir(dirname(path));
  const temporary = temporaryPath(path);
  try {
    await writeFile(temporary, text, { flag: 'wx', flush: true });
    await chmod(temporary, 0o644);
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
