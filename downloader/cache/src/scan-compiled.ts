/** Lists the directory of compiled models, for `list` and `prune`. */
import { join } from 'node:path';
import { compiledRoot, readCompiledManifest } from './compiled-model.js';
import type { CompiledManifest } from './compiled-types.js';
import { namesIn, type SizeBelow, sizeBelow } from './if-there.js';

/** Prefix of temporary directories of compiled models. */
export const COMPILING_PREFIX = '.tmp-';

/** One directory in it. */
export interface CompiledDir extends SizeBelow {
  /** `org/name`, from its parent directory. */
  readonly repository: string;
  readonly path: string;
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
      const size = await sizeBelow(path);
      // Gone meanwhile, or its name is not UTF-8: it cannot be opened then, and was not made by this program.
      if (size === undefined) continue;
      found.push({ repository: manifest?.repository ?? repository, path, isTemporary, manifest, ...size });
    }
  }
  return found;
}
