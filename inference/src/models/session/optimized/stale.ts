import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbandoned } from '@heimdex/common';
import type { OptimizedKey } from './key.js';
import { TEMPORARY_PREFIX } from './make.js';
import { readManifest } from './manifest.js';

/**
 * Removes unusable siblings of the optimized model named by `key`: those of another runtime or program version,
 * unreadable ones, leftovers. Those for other CPUs stay: different machines may share the volume.
 */
export async function removeStale(sourceDir: string, key: OptimizedKey): Promise<void> {
  for (const name of await readdir(sourceDir)) {
    const path = join(sourceDir, name);
    const gone = name.startsWith(TEMPORARY_PREFIX) ? isAbandoned((await stat(path)).mtimeMs) : await isStale(path, key);
    if (gone) await rm(path, { recursive: true, force: true });
  }
}

async function isStale(dir: string, key: OptimizedKey): Promise<boolean> {
  try {
    const other = (await readManifest(dir))?.key;
    return other?.format !== key.format || other.program !== key.program || other.runtime !== key.runtime;
  } catch {
    return true;
  }
}
