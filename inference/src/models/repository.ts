import { stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type JsonObject, readJsonObject } from '../json.js';
import { loadTokenizer, type TextTokenizer, type TokenizerOptions } from '../tokenizer/index.js';
import type { ModelFiles } from './model.js';

/**
 * Finds a repository's file that belongs to `weights`: in the same directory, in a parent directory (weights are mostly
 * in `onnx/`), finally in the root. Undefined if there is none.
 */
export async function findBeside(dir: string, weights: string, name: string): Promise<string | undefined> {
  let parent = dirname(weights);
  while (parent !== dir && !relative(dir, parent).startsWith('..') && parent !== dirname(parent)) {
    if (await isFile(join(parent, name))) return join(parent, name);
    parent = dirname(parent);
  }
  const last = join(dir, name);
  return (await isFile(last)) ? last : undefined;
}

/** The paths of the weights that a family needs, by their names. Throws if one is missing. */
export function weightsOf<Name extends string>(
  { id, weights }: ModelFiles,
  ...names: readonly Name[]
): Readonly<Record<Name, string>> {
  if (names.some((name) => weights[name] === undefined)) {
    const got = Object.keys(weights).join(', ') || 'none';
    throw new Error(`Expected ${id} to have weights named ${names.join(' and ')}, got ${got}.`);
  }
  return weights as Readonly<Record<Name, string>>;
}

/** Reads a JSON object that belongs to `weights`; empty if there is none. */
export async function readBeside(dir: string, weights: string, name: string): Promise<JsonObject> {
  const path = await findBeside(dir, weights, name);
  return path === undefined ? {} : readJsonObject(path);
}

/** Loads the tokenizer that belongs to `weights`. Throws if there is none, or if it is invalid or of an unsupported kind. */
export async function openTokenizer(
  { dir }: ModelFiles,
  weights: string,
  options: TokenizerOptions | undefined,
): Promise<TextTokenizer> {
  const json = await findBeside(dir, weights, 'tokenizer.json');
  const config = await findBeside(dir, weights, 'tokenizer_config.json');
  return loadTokenizer(json === undefined ? dir : dirname(json), config, options);
}

async function isFile(path: string): Promise<boolean> {
  try {
    // Opening a pipe or a device would block.
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
