import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { isNotFound } from '@heimdex/common';

/** Returns the names in a directory, sorted; empty if it does not exist. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
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
