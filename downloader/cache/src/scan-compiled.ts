/** Lists the directory of compiled models, for `list` and `prune`. */
import { join } from 'node:path';
import { compiledRoot, readCompiledManifest } from './compiled-model.js';
import type { CompiledManifest } from './compiled-types.js';
import { lstatIfThere, namesIn } from './if-there.js';

/** Prefix of temporary directories of compiled models. */
export const COMPILING_PREFIX = '.tmp-';

/** One directory in it. */
export interface CompiledDir {
  /** `org/name`, from its parent directory. */
  readonly repository: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Time of the last write in it. */
  readonly modifiedMs: number;
  /** Whether it is being written, or left by a killed run. */
  readonly isTemporary: boolean;
  /** Undefined if it is incomplete. */
  readonly manifest: CompiledManifest | undefined;
}

/** Returns all compiled models, complete or not; empty if there is no directory. Rejects if a directory cannot be read. */
export async function scanCompiled(cacheDir: string): Promise<readonly CompiledDir[]> {
  const root = compiledRoot(cacheDir);
  const found: CompiledDir[] = [];
  for (const dir of (await namesIn(root)).filter((name) => name.startsWith('models--'))) {
    const repository = dir.slice('models--'.length).replace('--', '/');
    for (const name of await namesIn(join(root, dir))) {
      const path = join(root, dir, name);
      const isTemporary = name.startsWith(COMPILING_PREFIX);
      const manifest = isTemporary ? undefined : await readCompiledManifest(path);
      const size = await sizeOf(path);
      // Gone meanwhile, or its name is not UTF-8: it cannot be opened then, and was not made by this program.
      if (size === undefined) continue;
      found.push({ repository: manifest?.repository ?? repository, path, isTemporary, manifest, ...size });
    }
  }
  return found;
}

async function sizeOf(path: string): Promise<Pick<CompiledDir, 'sizeBytes' | 'modifiedMs'> | undefined> {
  const info = await lstatIfThere(path);
  if (info === undefined) return undefined;
  let sizeBytes = 0;
  let modifiedMs = info.mtimeMs;
  if (!info.isDirectory()) return { sizeBytes: info.size, modifiedMs };
  for (const name of await namesIn(path)) {
    const inside = await sizeOf(join(path, name));
    if (inside === undefined) continue;
    sizeBytes += inside.sizeBytes;
    modifiedMs = Math.max(modifiedMs, inside.modifiedMs);
  }
  return { sizeBytes, modifiedMs };
}
