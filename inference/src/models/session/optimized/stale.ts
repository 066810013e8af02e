import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from './make.js';
import { readManifest } from './manifest.js';
import type { OptimizedKey } from './place.js';

/** What a run that was killed has left is removed after so long; a younger one may be under way. */
const TEMPORARY_AGE_MS = 60 * 60 * 1000;

/**
 * Removes what lies beside the form that `key` names and is of no use any more: forms for another runtime or program,
 * those that cannot be read, leftovers. Forms for other CPUs stay: machines of several kinds may share the volume.
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
