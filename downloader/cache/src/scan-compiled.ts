/** Everything that lies in the directory of compiled models, for `list` and `prune`. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNotFound } from '@heimdex/common';
import { compiledRoot, readCompiledManifest } from './compiled-model.js';
import type { CompiledManifest } from './compiled-types.js';

/** Directories of compiled models on their way begin with it. */
export const COMPILING_PREFIX = '.tmp-';

/** One directory in it. */
export interface CompiledDir {
  /** `org/name`, by the directory above it. */
  readonly repository: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** When something in it was last written. */
  readonly modifiedMs: number;
  /** Whether it is one on its way, or what a killed run left of it. */
  readonly isTemporary: boolean;
  /** Undefined for one that is not whole. */
  readonly manifest: CompiledManifest | undefined;
}

/** All compiled models, whole or not; nothing when there is no directory of them. Rejects when a directory cannot be read. */
export async function scanCompiled(cacheDir: string): Promise<readonly CompiledDir[]> {
  const root = compiledRoot(cacheDir);
  const found: CompiledDir[] = [];
  for (const place of (await namesIn(root)).filter((name) => name.startsWith('models--'))) {
    const repository = place.slice('models--'.length).replace('--', '/');
    for (const name of await namesIn(join(root, place))) {
      const path = join(root, place, name);
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
  const info = await lstat(path).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
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

async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isNotFound(error) || (error instanceof Error && 'code' in error && error.code === 'ENOTDIR')) return [];
    throw error;
  }
}
