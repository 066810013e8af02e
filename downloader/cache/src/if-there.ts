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
