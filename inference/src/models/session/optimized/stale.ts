import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OptimizedKey } from './key.js';
import { TEMPORARY_PREFIX } from './make.js';
import { readManifest } from './manifest.js';

/** Age after which leftovers of a killed run are removed; younger ones may still be in progress. */
const TEMPORARY_AGE_MS = 60 * 60 * 1000;

/**
 * Removes unusable siblings of the optimized model named by `key`: those of another runtime or program version,
 * unreadable ones, leftovers. Those for other CPUs stay: different machines may share the volume.
 */
export async function removeStale(sourceDir: string, key: OptimizedKey): Promise<void> {
  for (const name of await readdir(sourceDir)) {
    const path = join(sourceDir, name);
    const gone = name.startsWith(TEMPORARY_PREFIX)
      ? Date.now() - (await stat(path)).mtimeMs > TEMPORARY_AGE_MS
      : await isStale(path, key);
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
