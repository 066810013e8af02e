import { readdir } from 'node:fs/promises';
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
