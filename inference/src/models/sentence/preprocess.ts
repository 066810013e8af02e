import { join } from 'node:path';
import { assertSafePath } from '@heimdex/cache';
import { isObject, type JsonObject, numberAt, readJson, readJsonObject, stringAt } from '../../json.js';
import type { TextTokenizer, TokenizedText } from '../../tokenizer/index.js';
import type { ModelFiles } from '../model.js';
import { findBeside } from '../repository.js';
import { POOLING_MODES, type PoolingMode } from './postprocess.js';

/** How a repository wants its texts, and what it makes of the network's answer. */
export interface SentenceRecipe {
  /** Several are joined end to end, in this order. */
  readonly pooling: readonly PoolingMode[];
  /** Longest text in tokens, special ones included; Infinity where no file says it. */
  readonly maxTokens: number;
  readonly lowerCase: boolean;
  /** Modules of modules.json that come after the pooling and cannot be run here, by type. */
  readonly unknownModules: readonly string[];
}

/** Families that pool the first token, by words in their names, for repositories that leave modules.json out. */
const FIRST_TOKEN_FAMILIES = /bge-|arctic-embed|mxbai-embed|gte-(?!multilingual)|colbert/i;
/** RoBERTa counts its positions from 2. */
const ROBERTA_OFFSET = 2;

/**
 * Reads modules.json, the pooling's config.json, sentence_bert_config.json and config.json, as sentence-transformers does.
 * A repository without them is taken as its name suggests: the first token for BGE and its kind, else the mean.
 */
export async function readSentenceRecipe(files: ModelFiles, weights: string): Promise<SentenceRecipe> {
  const modules = await readModules(files, weights);
  const config = await optional(files, weights, 'sentence_bert_config.json');
  return {
    pooling: modules.pooling ?? (FIRST_TOKEN_FAMILIES.test(files.id) ? ['cls'] : ['mean']),
    maxTokens: numberAt(config, 'max_seq_length') ?? positions(await optional(files, weights, 'config.json')),
    lowerCase: config.do_lower_case === true,
    unknownModules: modules.unknown,
  };
}

async function readModules(
  files: ModelFiles,
  weights: string,
): Promise<{ readonly pooling: readonly PoolingMode[] | undefined; readonly unknown: readonly string[] }> {
  const path = await findBeside(files.dir, weights, 'modules.json');
  if (path === undefined) return { pooling: undefined, unknown: [] };
  const modules = await readJson(path);
  if (!Array.isArray(modules)) throw new Error(`Expected ${path} to hold a list of modules.`);
  let pooling: readonly PoolingMode[] | undefined;
  const unknown: string[] = [];
  for (const module of modules.filter(isObject)) {
    const type = (stringAt(module, 'type') ?? '').split('.').at(-1) ?? '';
    if (type === 'Pooling') {
      const dir = assertSafePath((stringAt(module, 'path') || '1_Pooling').replace(/\/$/, ''));
      pooling = poolingModes(await readJsonObject(join(path, '..', dir, 'config.json')));
    } else if (type !== 'Transformer' && type !== 'Normalize') unknown.push(type);
  }
  return { pooling, unknown };
}

/** The modes a pooling's config.json switches on. Throws where it switches on none, or one that is not known. */
export function poolingModes(config: JsonObject): readonly PoolingMode[] {
  const named = stringAt(config, 'pooling_mode');
  const names =
    named === undefined ? Object.keys(POOLING_MODES).filter((mode) => config[flagOf(mode)] === true) : [named];
  const modes = names.filter((name): name is PoolingMode => name in POOLING_MODES);
  if (modes.length === 0 || modes.length < names.length) {
    throw new Error(
      `Expected a pooling of ${Object.keys(POOLING_MODES).join(', ')}, got ${names.join(', ') || 'none'}.`,
    );
  }
  return modes;
}

function flagOf(mode: string): string {
  return POOLING_MODES[mode as PoolingMode];
}

function positions(config: JsonObject): number {
  const count = numberAt(config, 'max_position_embeddings');
  if (count === undefined) return Number.POSITIVE_INFINITY;
  return (stringAt(config, 'model_type') ?? '').includes('roberta') ? count - ROBERTA_OFFSET : count;
}

async function optional(files: ModelFiles, weights: string, name: string): Promise<JsonObject> {
  const path = await findBeside(files.dir, weights, name);
  return path === undefined ? {} : readJsonObject(path);
}

/** A text's ids, cut to what the network reads. */
export function tokenizeText(text: string, tokenizer: TextTokenizer, recipe: SentenceRecipe): TokenizedText {
  const limit = Math.min(recipe.maxTokens, tokenizer.maxTokens);
  return tokenizer.encode(recipe.lowerCase ? text.toLowerCase() : text, limit);
}

/** Texts of one run: the gain of more is small, and a caller who gives up waits for its end. */
const MAX_TEXTS = 8;
/** What a run costs beside its tokens, in tokens (measured on MiniLM); padding costs as much as text. */
const RUN_TOKENS = 4;

/**
 * Shares texts out to runs, shortest first, so that padding and the number of runs together cost least. Gives the places of
 * `lengths` that go together.
 */
export function planBatches(lengths: readonly number[]): readonly (readonly number[])[] {
  const order = lengths
    .map((_, place) => place)
    .sort((one, other) => lengthAt(lengths, one) - lengthAt(lengths, other));
  // The least cost of the first n texts, and where their last run begins.
  const costs = [0];
  const starts = [0];
  for (let end = 1; end <= order.length; end++) {
    const longest = lengthAt(lengths, order[end - 1] ?? 0);
    let least = Number.POSITIVE_INFINITY;
    for (let start = end - 1; start >= Math.max(0, end - MAX_TEXTS); start--) {
      const cost = (costs[start] ?? 0) + (end - start) * longest + RUN_TOKENS;
      if (cost >= least) continue;
      least = cost;
      starts[end] = start;
    }
    costs.push(least);
  }
  const batches: (readonly number[])[] = [];
  for (let end = order.length; end > 0; end = starts[end] ?? 0) batches.unshift(order.slice(starts[end], end));
  return batches;
}

function lengthAt(lengths: readonly number[], place: number): number {
  return lengths[place] ?? 0;
}

/** Texts as a network's inputs: texts x longest. */
export interface PackedTexts {
  readonly ids: BigInt64Array;
  /** 1 for a token, 0 for padding. */
  readonly mask: BigInt64Array;
  readonly count: number;
  readonly length: number;
}

export function packTexts(texts: readonly TokenizedText[], padId: number): PackedTexts {
  const length = Math.max(...texts.map((text) => text.ids.length));
  const ids = new BigInt64Array(texts.length * length).fill(BigInt(padId));
  const mask = new BigInt64Array(texts.length * length);
  texts.forEach((text, row) => {
    text.ids.forEach((id, at) => {
      ids[row * length + at] = BigInt(id);
    });
    mask.fill(1n, row * length, row * length + text.ids.length);
  });
  return { ids, mask, count: texts.length, length };
}
