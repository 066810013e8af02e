/** Finds what can be compiled in a cache, for `list`: checkpoints of known architectures. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asObject, parseForeignJson, sumSizes } from '@heimdex/common';
import { chooseCheckpoint } from './checkpoint-files.js';
import { namesIn, unlessGone } from './if-there.js';
import type { Family } from './manifest-types.js';
import { readText } from './read-text.js';
import type { CachedRepository } from './scan-cache.js';

/** The architectures that the compiler supports per family, as in `model_type` of config.json. */
export const COMPILABLE_FAMILIES: Readonly<Partial<Record<Family, readonly string[]>>> = {
  whisper: ['whisper'],
  siglip: ['siglip'],
  sentence: ['bert', 'xlm-roberta', 'roberta', 'camembert', 'distilbert', 'mpnet'],
};

const COMPILABLE_TYPES = Object.values(COMPILABLE_FAMILIES).flat();

/** A checkpoint in the cache. */
export interface CompilableCheckpoint {
  /** Path in its snapshot, or below the cache's root. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly modelType: string;
}

/** Returns the checkpoint of a repository's first snapshot that has one of a known architecture; undefined if none has. */
export async function compilableOf(repository: CachedRepository): Promise<CompilableCheckpoint | undefined> {
  for (const { files } of repository.snapshots) {
    const config = files.find(({ path }) => path === 'config.json');
    const there = files.filter(({ sizeBytes }) => sizeBytes !== undefined);
    const chosen = chooseCheckpoint(there.map(({ path }) => path));
    if (config === undefined || chosen === undefined) continue;
    const modelType = await typeIn(config.pointerPath);
    if (modelType === undefined) continue;
    const parts = there.filter(({ path }) => chosen.paths.includes(path));
    return { path: chosen.main, sizeBytes: sumSizes(parts), modelType };
  }
  return undefined;
}

/** Lists OpenAI's original files in openai-whisper's directory: `whisper/*.pt`. */
export async function whisperFiles(cacheDir: string): Promise<readonly CompilableCheckpoint[]> {
  const dir = join(cacheDir, 'whisper');
  const files: CompilableCheckpoint[] = [];
  for (const name of (await namesIn(dir)).filter((name) => name.endsWith('.pt'))) {
    // Undefined also for a dead link.
    const info = await unlessGone(stat(join(dir, name)));
    if (info !== undefined) files.push({ path: `whisper/${name}`, sizeBytes: info.size, modelType: 'whisper' });
  }
  return files;
}

async function typeIn(path: string): Promise<string | undefined> {
  try {
    const type = asObject(parseForeignJson(await readText(path))).model_type;
    return typeof type === 'string' && COMPILABLE_TYPES.includes(type) ? type : undefined;
  } catch {
    return undefined;
  }
}
