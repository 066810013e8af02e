import { constants, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type JournalState, type JournalSubject, journalPath, readJournal } from './journal.js';
import { RangeSet } from './ranges.js';

/** A file that an earlier run may have left incomplete. */
export interface Unfinished extends JournalSubject {
  /** Path of the finished file. */
  readonly finalPath: string;
}

/** A temporary file to resume. */
export interface Leftover {
  readonly path: string;
  readonly state: JournalState;
  readonly sizeBytes: number;
}

/** For reading and writing, and never through a link. */
export const EXISTING = constants.O_RDWR | constants.O_NOFOLLOW;

/** Lists the temporary files of a blob and their journals, whoever wrote them. */
async function leftoversOf(finalPath: string): Promise<string[]> {
  const prefix = `${basename(finalPath)}.`;
  const dir = dirname(finalPath);
  const names = await readdir(dir);
  return names.filter((name) => name.startsWith(prefix) && name.includes('incomplete')).map((name) => join(dir, name));
}

/** Returns the bytes of a file that the next run can resume, not yet verified. */
export async function resumableBytes(options: Unfinished): Promise<number> {
  try {
    return (await findLeftover(options))?.sizeBytes ?? 0;
  } catch {
    return 0;
  }
}

/** Returns the temporary file with the most resumable bytes. */
export async function findLeftover(options: Unfinished): Promise<Leftover | undefined> {
  let best: Leftover | undefined;
  const paths = (await leftoversOf(options.finalPath)).filter((path) => path.endsWith('incomplete'));
  for (const path of paths) {
    // A link would be written through; another process may have claimed the file, and another user's cannot be continued.
    const info = await lstat(path).catch(() => undefined);
    if (info?.isFile() !== true || !(await isWritable(path))) continue;
    const state = (await readJournal(journalPath(path), options)) ?? withoutJournal(info.size, options);
    if (state === undefined) continue;
    const sizeBytes = new RangeSet(state.done).sizeBytes;
    if (sizeBytes > (best?.sizeBytes ?? 0)) best = { path, state, sizeBytes };
  }
  return best;
}

async function isWritable(path: string): Promise<boolean> {
  try {
    await (await open(path, EXISTING)).close();
    return true;
  } catch {
    return false;
  }
}

function withoutJournal(size: number, subject: JournalSubject): JournalState | undefined {
  if (size === 0 || size > subject.sizeBytes) return undefined;
  return { done: [{ start: 0, end: size }], prefixes: [] };
}

/**
 * Claims a leftover by renaming it: if a broken lock admits two processes, one gets it and the other gets false, as for a file of another
 * user where the directory has the sticky bit. The journal exists under the new name first, so a kill in between loses nothing.
 */
export async function claim(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
  } catch {
    await rm(journalPath(to), { force: true });
    return false;
  }
  await rm(journalPath(from), { force: true });
  return true;
}

/**
 * Removes the leftovers of earlier runs and other programs of a complete blob. Call it while holding the blob's lock. Those of another
 * user stay where the directory has the sticky bit: the blob is complete without that.
 */
export async function removeLeftovers(finalPath: string): Promise<void> {
  for (const path of await leftoversOf(finalPath)) await rm(path, { force: true }).catch(() => {});
}
