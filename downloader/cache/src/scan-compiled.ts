/** Lists the directory of compiled models, for `list` and `prune`. */
import { join } from 'node:path';
import { compiledRoot, readCompiledManifest } from './compiled-model.js';
import type { CompiledManifest } from './compiled-types.js';
import { lstatIfThere, namesIn } from './names-in.js';

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
      found.push({
        repository: manifest?.repository ?? repository,
        path,
        isTemporary,
        manifest,
        ...(await sizeOf(path)),
      });
    }
  }
  return found;
}

async function sizeOf(path: string): Promise<{ readonly sizeBytes: number; readonly modifiedMs: number }> {
  const info = await lstatIfThere(path);
  let sizeBytes = 0;
  let modifiedMs = info?.mtimeMs ?? 0;
  if (info?.isDirectory() !== true) return { sizeBytes: info?.size ?? 0, modifiedMs };
  for (const name of await namesIn(path)) {
    const inside = await sizeOf(join(path, name));
    sizeBytes += inside.sizeBytes;
    modifiedMs = Math.max(modifiedMs, inside.modifiedMs);
  }
  return { sizeBytes, modifiedMs };
}
