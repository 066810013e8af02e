import { readFile } from 'node:fs/promises';
import { DENSE_DIR, poolingModes, sentenceModules } from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import type { CompileOptions } from '@heimdex/compiler';
import type { ModelState } from '../cache-state.js';
import { DownloaderError } from '../errors.js';

/**
 * Reads the layer behind a sentence embedder's pooling from its files; empty if modules.json names none. Throws DownloaderError
 * CHECKPOINT_INVALID if its files or its pooling's are missing or invalid.
 */
export async function readDense({ configured, inspection }: ModelState): Promise<Pick<CompileOptions, 'dense'>> {
  const read = async (path: string): Promise<unknown> => {
    const file = inspection.files.find((one) => one.file.path === path);
    if (file?.found === undefined) return undefined;
    try {
      return JSON.parse(await readFile(file.found.absolutePath, 'utf8'));
    } catch (cause) {
      throw new DownloaderError('CHECKPOINT_INVALID', `Expected ${file.absolutePath} to be JSON.`, { cause });
    }
  };
  const refuse = (problem: string) =>
    new DownloaderError(
      'CHECKPOINT_INVALID',
      `${configured.id} cannot be compiled: ${problem} Choose another model with ${configured.variable}, then run: heimdex-downloader plan`,
    );
  if (configured.family !== 'sentence') return {};
  const modules = sentenceModules(await read('modules.json')) ?? [];
  if (!modules.some(({ type }) => type === 'Dense')) return {};
  const weights = inspection.checkpoint?.files.find(({ path }) => path.startsWith(`${DENSE_DIR}/`));
  const config = await read(`${DENSE_DIR}/config.json`);
  const pooling = await read('1_Pooling/config.json');
  if (weights === undefined || !isObject(config) || !isObject(pooling)) {
    const needed = `1_Pooling/config.json, ${DENSE_DIR}/config.json and ${DENSE_DIR}/model.safetensors`;
    throw refuse(`its modules.json names Dense, which needs ${needed}.`);
  }
  try {
    return { dense: { checkpoint: weights.absolutePath, config, pooling: poolingModes(pooling) } };
  } catch (error) {
    throw refuse(messageOf(error));
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
