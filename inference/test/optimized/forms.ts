import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { optimizedDir, readModelEnvironment } from '@heimdex/cache';
import type { HubFile } from '@heimdex/hub';
import { expect } from 'chai';
import { findModels } from '../../src/models/find.js';
import { LOADERS } from '../../src/models/loaders.js';
import type { LoadedModel } from '../../src/models/model.js';
import type { GraphUse, OptimizedOptions } from '../../src/models/session/optimized/use.js';
import { preparedOptions } from '../../src/models/session/optimized/use.js';
import { runHere } from '../fixtures/server-process.js';
import { makeVolume, type Volume } from '../fixtures/volume.js';
import { CONTEXT, OPTIONS } from '../support/paths.js';

/** prepare chooses the form of the weights by the CPU, independent of HEIMDEX_TEST_WEIGHTS. */
const { weights: _, ...AS_THE_PROGRAM } = OPTIONS;

export const SIGLIP = 'heimdex/siglip-pocket';
export const VISION_ONLY = { ASR_MODEL: 'none', VISION_MODEL_NAME: SIGLIP };

/** Text items. */
export const TEXTS = ['a red bicycle', 'two dogs on a beach'].map((text) => ({
  type: 'text',
  text,
  normalize: true,
  truncate: true,
}));

/** The directories of all optimized models of a volume. */
export async function formDirs(volume: Volume): Promise<string[]> {
  const root = optimizedDir(volume.cacheDir);
  const sources = await readdir(root);
  const keys = await Promise.all(
    sources.map(async (name) => (await readdir(join(root, name))).map((key) => join(root, name, key))),
  );
  return keys.flat();
}

/** Runs `prepare` and returns its log messages. */
export async function prepare(volume: Volume, env: Readonly<Record<string, string>>, minMb = '0'): Promise<string[]> {
  const settings = { HF_HUB_CACHE: volume.cacheDir, ...env };
  const { code, stdout, stderr } = await runHere(settings, ['prepare', '--min-mb', minMb]);
  expect(code, stderr).to.equal(0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
}

/** Loads the configured model in this process, or makes its optimized models, runs items and returns how its graphs were loaded. */
export async function answers(
  volume: Volume,
  env: Readonly<Record<string, string>>,
  items: readonly unknown[],
  use: boolean | OptimizedOptions['make'],
): Promise<{ readonly results: unknown; readonly uses: readonly GraphUse[] }> {
  const environment = readModelEnvironment({ HF_HUB_CACHE: volume.cacheDir, ...env });
  const [model] = await findModels(environment);
  if (model === undefined) throw new Error('no model is configured');
  const uses: GraphUse[] = [];
  const prepared = {
    ...preparedOptions(volume.cacheDir, model, 'full'),
    ...(typeof use === 'object' ? { make: use } : {}),
  };
  const loaded = await LOADERS[model.family](model.files, {
    ...AS_THE_PROGRAM,
    ...(use ? { prepared, onGraph: (use: GraphUse) => void uses.push(use) } : {}),
  });
  try {
    return { results: await loaded.run(items, { ...CONTEXT, signals: items.map(() => NEVER) }), uses };
  } finally {
    await loaded.close();
  }
}

const NEVER = new AbortController().signal;

/** Has `answers` make the optimized models, as a worker of `prepare` does, and answer with what it has saved. */
export const MAKE = { minBytes: 0, shared: true } as const;

/** Prepares a speech model in a volume of its own, and expects the results of its original files, which `model` has loaded. */
export async function expectSamePrepared<Item>(
  id: string,
  files: string | readonly HubFile[],
  model: LoadedModel<Item, unknown>,
  item: Item,
): Promise<void> {
  const volume = await makeVolume({ snapshots: { [id]: files } });
  const env = { ASR_MODEL: id, VISION_MODEL_NAME: 'none' };
  try {
    const prepared = await answers(volume, env, [item], MAKE);
    expect(prepared.uses.map((use) => use.prepared)).to.deep.equal([true, true]);
    const plain = await model.run([item], { ...CONTEXT, signals: [NEVER] });
    expect(JSON.stringify(plain)).to.include('"ok":true');
    expect(prepared.results).to.deep.equal(plain);
  } finally {
    await volume.remove();
  }
}

/**
 * Expects equal results from original and optimized graphs, and that every graph was loaded from its optimized model. Returns them.
 *
 * @param use - Whether the optimized models are there, or are made.
 */
export async function expectSameBits(
  volume: Volume,
  env: Readonly<Record<string, string>>,
  items: readonly unknown[],
  use: true | OptimizedOptions['make'] = true,
): Promise<unknown> {
  const plain = await answers(volume, env, items, false);
  const prepared = await answers(volume, env, items, use);
  expect(prepared.uses.length).to.be.greaterThan(0);
  expect(prepared.uses.every((use) => use.prepared)).to.equal(true);
  expect(JSON.stringify(plain.results)).not.to.include('"ok":false');
  expect(prepared.results).to.deep.equal(plain.results);
  return prepared.results;
}
