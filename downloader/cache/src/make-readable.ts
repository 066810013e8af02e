import type { FileHandle } from 'node:fs/promises';

const READABLE = 0o444;

/**
 * Makes a file readable by every user, whatever the umask. Only its owner may change the mode of a file that another user left, and some file
 * systems (FUSE, network shares) change none: one that every user can read already is good. Rejects with the system's error.
 */
export async function makeReadable(file: Pick<FileHandle, 'chmod' | 'stat'>): Promise<void> {
  try {
    await file.chmod(0o644);
  } catch (error) {
    const { mode } = await file.stat();
    if ((Number(mode) & READABLE) !== READABLE) throw error;
  }
}
