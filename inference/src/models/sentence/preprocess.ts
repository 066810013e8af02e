import { join } from 'node:path';
import {
  assertSafePath,
  defaultPrompt,
  POOLING_DIR,
  type PoolingMode,
  poolingModes,
  SENTENCE_MODULES,
  sentenceModules,
  textLimit,
  tokenizerSettings,
  transformerSettings,
} from '@heimdex/cache';
import { LONG_TEXT_TOKENS } from '@heimdex/onnx';
import { type JsonObject, numberAt, readIfThere, readJson, readJsonObject, stringAt } from '../../json.js';
import type { TextTokenizer, TokenizedText, TokenizerOptions } from '../../tokenizer/index.js';
import type { LoadOptions, ModelFiles } from '../model.js';
import { findBeside, readBeside } from '../repository.js';

/** Text preprocessing and pooling of a repository. */
export interface SentenceRecipe {
  /** Results of several modes are concatenated in this order. */
  readonly pooling: readonly PoolingMode[];
  /** Maximum tokens per text including special tokens, by sentence_bert_config.json; Infinity: texts are not cut. Undefined: as the tokenizer's files say. */
  readonly maxTokens: number | undefined;
  /** Tokens that the network has positions for; Infinity if config.json does not say. */
  readonly positions: number;
  /** Tokens that the network knows; Infinity if config.json does not say. */
  readonly vocabulary: number;
  readonly tokenizer: TokenizerOptions;
  /** Put before every text, such as "query: "; usually empty. */
  readonly prompt: string;
  /** Numbers of a vector that are kept; undefined: all. */
  readonly dimensions: number | undefined;
  /** Types of the modules in modules.json after the pooling that are not supported here. */
  readonly unknownModules: readonly string[];
}

/** Families that pool the first token, by words in their names, for repositories without modules.json. The first GTE, in English, have the mean. */
const FIRST_TOKEN_FAMILIES = /bge-|arctic-embed|mxbai-embed|gte-(?!(tiny|small|base|large)(?!-(en|zh)))|colbert/i;
/** Architectures whose positions begin behind the padding token's: RoBERTa's. */
const BEHIND_PADDING: readonly unknown[] = ['roberta', 'xlm-roberta', 'camembert', 'mpnet'];
/** The tokenizers, by `model_type`, whose classes have settings of their own: transformers' AutoTokenizer, where no file names a class. */
const TOKENIZER_CLASSES: Readonly<Partial<Record<string, string>>> = {
  bert: 'BertTokenizer',
  distilbert: 'DistilBertTokenizer',
  mpnet: 'MPNetTokenizer',
  roberta: 'RobertaTokenizer',
};

/**
 * Reads modules.json, the pooling's config.json, sentence_bert_config.json, config_sentence_transformers.json and config.json, as
 * sentence-transformers does. Without them the name decides: first token for BGE and similar, otherwise the mean.
 */
export async function readSentenceRecipe(files: ModelFiles, weights: string): Promise<SentenceRecipe> {
  const { pooling, unknown, pooledPrompt } = await readModules(files, weights);
  const config = await transformerSettings((name) => readBeside(files.dir, weights, name));
  const defaults = await readBeside(files.dir, weights, 'config_sentence_transformers.json');
  const network = await readBeside(files.dir, weights, 'config.json');
  const prompt = defaultPrompt(defaults);
  if (prompt !== '' && !pooledPrompt)
    throw new Error(`Expected the pooling of ${files.id} to include its default prompt, got include_prompt false.`);
  return {
    pooling: pooling ?? (FIRST_TOKEN_FAMILIES.test(files.id) ? ['cls'] : ['mean']),
    maxTokens: textLimit(config),
    positions: positions(network),
    vocabulary: numberAt(network, 'vocab_size') ?? Number.POSITIVE_INFINITY,
    tokenizer: {
      settings: tokenizerSettings(config),
      tokenizerClass: stringAt(network, 'tokenizer_class') ?? TOKENIZER_CLASSES[stringAt(network, 'model_type') ?? ''],
      lowerCase: config.do_lower_case === true,
    },
    prompt,
    dimensions: numberAt(defaults, 'truncate_dim'),
    unknownModules: unknown,
  };
}

interface Modules {
  readonly pooling?: readonly PoolingMode[];
  /** Whether the tokens of a prompt are pooled too. */
  readonly pooledPrompt: boolean;
  readonly unknown: readonly string[];
}

async function readModules(files: ModelFiles, weights: string): Promise<Modules> {
  const path = await findBeside(files.dir, weights, 'modules.json');
  if (path === undefined) return { pooledPrompt: true, unknown: [] };
  const modules = sentenceModules(await readJson(path));
  if (modules === undefined) throw new Error(`Expected ${path} to hold a list of modules.`);
  let pooling: readonly PoolingMode[] | undefined;
  let pooledPrompt = true;
  let scaled = false;
  const unknown: string[] = [];
  for (const { type, path: dir } of modules) {
    if (type === 'Pooling') {
      // Vectors are normalized last.
      if (scaled) unknown.push('Normalize before Pooling');
      const name = `${assertSafePath(dir || POOLING_DIR)}/config.json`;
      const config = await readIfThere(join(path, '..', name), readJsonObject);
      if (config === undefined)
        throw new Error(
          `Expected ${name} beside ${path}, which names this pooling, got no file. Its repository is incomplete: choose another.`,
        );
      pooling = poolingModes(config);
      pooledPrompt = config.include_prompt !== false;
      // The graph of an export is that of the repository's own code.
    } else if (!SENTENCE_MODULES.includes(type) && !type.endsWith('.Transformer')) unknown.push(type);
    scaled ||= type === 'Normalize';
  }
  return { ...(pooling && { pooling }), pooledPrompt, unknown };
}

function positions(config: JsonObject): number {
  const count = numberAt(config, 'max_position_embeddings');
  if (count === undefined) return Number.POSITIVE_INFINITY;
  if (!BEHIND_PADDING.includes(config.model_type)) return count;
  // MPNet takes no other padding token into account.
  const padding = config.model_type === 'mpnet' ? 1 : (numberAt(config, 'pad_token_id') ?? 1);
  return count - padding - 1;
}

/** The most tokens of a text, special tokens included. */
export function tokenLimit(tokenizer: TextTokenizer, recipe: SentenceRecipe): number {
  return Math.min(recipe.positions, recipe.maxTokens ?? tokenizer.maxTokens);
}

/** A text's ids, truncated to the network's limit. */
export function tokenizeText(text: string, tokenizer: TextTokenizer, recipe: SentenceRecipe): TokenizedText {
  return tokenizer.encode(`${recipe.prompt}${text}`, tokenLimit(tokenizer, recipe));
}

/** What sharing a run gains on a device. */
interface RunCosts {
  /** Maximum texts per run: more gain little, and cancellation waits for the end of a run. */
  readonly maxTexts: number;
  /** Fixed cost of a run in tokens. Padding costs as much as text. */
  readonly runTokens: number;
  /** Texts with this many tokens or more run alone: a run's memory grows with the square of the length, and sharing saves nothing there. */
  readonly aloneFrom: number;
}

const RUN_COSTS: Readonly<Record<LoadOptions['device'], RunCosts>> = {
  // Measured on MiniLM.
  cpu: { maxTexts: 8, runTokens: 4, aloneFrom: LONG_TEXT_TOKENS },
  // Measured on BGE-M3 (bench/gpu): a short text takes 5.9 ms, one of 500 tokens 9.7 ms.
  cuda: { maxTexts: 32, runTokens: 512, aloneFrom: 1024 },
};

/**
 * Distributes texts over runs, sorted by length, to minimize the cost of padding and runs. Returns the indices in
 * `lengths` of each run.
 */
export function planBatches(
  lengths: readonly number[],
  device: LoadOptions['device'] = 'cpu',
): readonly (readonly number[])[] {
  const { maxTexts, runTokens, aloneFrom } = RUN_COSTS[device];
  const order = lengths
    .map((_, index) => index)
    .sort((one, other) => lengthAt(lengths, one) - lengthAt(lengths, other));
  // Minimum cost of the first n texts, and where their last run begins.
  const costs = [0];
  const starts = [0];
  for (let end = 1; end <= order.length; end++) {
    const longest = lengthAt(lengths, order[end - 1] ?? 0);
    let lowest = Number.POSITIVE_INFINITY;
    const mostTexts = longest >= aloneFrom ? 1 : maxTexts;
    for (let start = end - 1; start >= Math.max(0, end - mostTexts); start--) {
      const cost = (costs[start] ?? 0) + (end - start) * longest + runTokens;
      if (cost >= lowest) continue;
      lowest = cost;
      starts[end] = start;
    }
    costs.push(lowest);
  }
  const batches: (readonly number[])[] = [];
  for (let end = order.length; end > 0; end = starts[end] ?? 0) batches.unshift(order.slice(starts[end], end));
  return batches;
}

function lengthAt(lengths: readonly number[], index: number): number {
  return lengths[index] ?? 0;
}

/** Texts as network inputs: texts x longest. */
export interface PackedTexts {
  readonly ids: BigInt64Array;
  /** 1 for a token, 0 for padding. */
  readonly mask: BigInt64Array;
  readonly count: number;
  readonly length: number;
}

/** `minLength` is with padding. */
export function packTexts(texts: readonly (readonly number[])[], padId: number, minLength = 1): PackedTexts {
  const length = Math.max(minLength, ...texts.map((ids) => ids.length));
  const ids = new BigInt64Array(texts.length * length).fill(BigInt(padId));
  const mask = new BigInt64Array(texts.length * length);
  texts.forEach((text, row) => {
    text.forEach((id, at) => {
      ids[row * length + at] = BigInt(id);
    });
    mask.fill(1n, row * length, row * length + text.length);
  });
  return { ids, mask, count: texts.length, length };
}
