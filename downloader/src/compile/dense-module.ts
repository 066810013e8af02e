import { posix } from 'node:path';
import { DENSE_DIR, POOLING_DIR, poolingModes, sentenceModules } from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import type { CompileOptions } from '@heimdex/compiler';
import type { ModelState } from '../cache-state.js';
import { denseIncomplete } from './assert-compilable.js';
import { cannotCompile } from './cannot-compile.js';
import { readSmallList, readSmallObject } from './small-files.js';

/**
 * Reads the layer behind a sentence embedder's pooling from its files; empty if modules.json names none. Throws DownloaderError
 * CHECKPOINT_INVALID if its files or its pooling's are missing or invalid.
 */
export async function readDense(state: ModelState): Promise<Pick<CompileOptions, 'dense'>> {
  const { configured, inspection } = state;
  if (configured.family !== 'sentence') return {};
  const modules = sentenceModules(await readSmallList(state, 'modules.json')) ?? [];
  if (!modules.some(({ type }) => type === 'Dense')) return {};
  const dir = `${posix.join(configured.dir, DENSE_DIR)}/`;
  const weights = inspection.checkpoint?.files.find(({ path }) => path.startsWith(dir));
  const config = await readSmallObject(state, `${DENSE_DIR}/config.json`);
  const pooling = await readSmallObject(state, `${POOLING_DIR}/config.json`);
  if (weights === undefined || config === undefined || pooling === undefined) throw denseIncomplete(configured);
  try {
    return { dense: { checkpoint: weights.absolutePath, config, pooling: poolingModes(pooling) } };
  } catch (error) {
    throw cannotCompile(configured, messageOf(error));
  }
}
