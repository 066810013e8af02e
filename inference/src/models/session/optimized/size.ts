import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isExternalDataOf } from '@heimdex/cache';

/** Bytes of a graph's file and of its external weights. */
export async function graphBytes(path: string): Promise<number> {
  const names = (await readdir(dirname(path))).filter((name) => isExternalDataOf(basename(path), name));
  const sizes = await Promise.all([basename(path), ...names].map((name) => stat(join(dirname(path), name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}
