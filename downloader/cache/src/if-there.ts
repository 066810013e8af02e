import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNotFound } from '@heimdex/common';

/** Returns the names in a directory, sorted; empty if it does not exist. */
export async function namesIn(path: string): Promise<string[]> {
  return (await unlessGone(readdir(path)))?.sort() ?? [];
}

/** Returns files and links below a directory as relative paths with `/`, sorted; links are not followed. */
export async function filesBelow(path: string, below = ''): Promise<string[]> {
  const files: string[] = [];
  for (const name of await namesIn(join(path, below))) {
    const here = below === '' ? name : `${below}/${name}`;
    const info = await lstatIfThere(join(path, here));
    if (info?.isDirectory()) files.push(...(await filesBelow(path, here)));
    else if (info !== undefined) files.push(here);
  }
  return files;
}

/** What a file or a directory has in it. */
export interface SizeBelow {
  readonly sizeBytes: number;
  /** Time of the last write in it. */
  readonly modifiedMs: number;
}

/** Returns the size of a file, or of all files below a directory; undefined if there is neither. Links are not followed. */
export async function sizeBelow(path: string): Promise<SizeBelow | undefined> {
  const info = await lstatIfThere(path);
  if (info === undefined) return undefined;
  let sizeBytes = 0;
  let modifiedMs = info.mtimeMs;
  if (!info.isDirectory()) return { sizeBytes: info.size, modifiedMs };
  for (const name of await namesIn(path)) {
    const inside = await sizeBelow(join(path, name));
    if (inside === undefined) continue;
    sizeBytes += inside.sizeBytes;
    modifiedMs = Math.max(modifiedMs, inside.modifiedMs);
  }
  return { sizeBytes, modifiedMs };
}

/** Returns whether there is a directory, or a link to one. Rejects if that cannot be checked. */
export async function isDirThere(path: string): Promise<boolean> {
  return (await unlessGone(stat(path)))?.isDirectory() ?? false;
}

/** Returns what lstat says of a path; undefined if it is gone, as the temporary files of a running download may be at any time. */
export function lstatIfThere(path: string): Promise<Stats | undefined> {
  return unlessGone(lstat(path));
}

/** Returns the result; undefined if the path does not exist. */
export async function unlessGone<Result>(result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
