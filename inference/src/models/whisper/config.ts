import { join } from 'node:path';
import { assertOwnTokens } from '@heimdex/cache';
import { asObject, type JsonObject, numberAt, readJsonObject, readOptionalObject } from '../../json.js';
import { generationDefaults, type KnownTokens } from './generation-defaults.js';

/** The validated contents of Whisper's JSON files. */
export interface WhisperConfig {
  /** Mel bands of the encoder's input: 80, or 128 for large-v3. */
  readonly melCount: number;
  /** Decoder layers, each with a key-value cache. */
  readonly layerCount: number;
  readonly headCount: number;
  readonly headSize: number;
  /** Decoder positions for prompt and text: 448. */
  readonly textPositions: number;
  /** Encoder output positions for 30 s: 1500. */
  readonly audioPositions: number;
  /** Number of tokens. Undefined: unknown. */
  readonly vocabularySize: number | undefined;
  readonly startOfTranscript: number;
  readonly endOfText: number;
  readonly multilingual: boolean;
  /** Token by ISO 639-1 code. Empty for English-only models. */
  readonly languages: ReadonlyMap<string, number>;
  readonly tasks: Readonly<Record<'transcribe' | 'translate', number | undefined>>;
  /** Undefined: looked up in the vocabulary. */
  readonly noTimestamps: number | undefined;
  readonly startOfPrevious: number | undefined;
  /** Never sampled. */
  readonly suppressed: readonly number[];
  /** Never sampled as the first token. */
  readonly suppressedFirst: readonly number[];
  /** Upper limit of the first timestamp, in steps of 20 ms. */
  readonly maxInitialTimestampIndex: number;
  /** Layer and head of the cross attentions that align with time. Empty: unknown. */
  readonly alignmentHeads: readonly (readonly [number, number])[];
}

/** Default for all Whisper models before large-v3. */
const DEFAULT_MEL_COUNT = 80;
/** The reference's limit of 1 s for the first timestamp of a window. */
const MAX_INITIAL_TIMESTAMP_INDEX = 50;

/**
 * Reads config.json and, if present, generation_config.json and preprocessor_config.json. Missing members come from
 * config.json or from Whisper's defaults. Throws when config.json is missing or incomplete, and when generation_config.json is that of another
 * vocabulary.
 */
export async function readWhisperConfig(dir: string, tokens: KnownTokens): Promise<WhisperConfig> {
  const [config, generation, preprocessor] = await Promise.all([
    readJsonObject(join(dir, 'config.json')),
    readOptionalObject(join(dir, 'generation_config.json')),
    readOptionalObject(join(dir, 'preprocessor_config.json')),
  ]);
  assertOwnTokens(generation, tokens.id);
  return parseWhisperConfig(config, generation, preprocessor, generationDefaults(config, tokens));
}

/** As `readWhisperConfig`, for files already read. `defaults` replaces what generation_config.json may omit. */
export function parseWhisperConfig(
  config: JsonObject,
  generation: JsonObject,
  preprocessor: JsonObject,
  defaults: JsonObject = {},
): WhisperConfig {
  const width = needed(config, 'd_model');
  const headCount = needed(config, 'decoder_attention_heads');
  /** Older files keep some members in config.json. */
  const said = (key: string): unknown => generation[key] ?? config[key] ?? defaults[key];
  const own = languagesIn(said('lang_to_id'));
  // An empty table says no more than none.
  const languages = own.size === 0 ? languagesIn(defaults.lang_to_id) : own;
  const tasks = asObject(said('task_to_id'));
  const saidMultilingual = said('is_multilingual');
  const multilingual = typeof saidMultilingual === 'boolean' ? saidMultilingual : languages.size > 1;
  if (multilingual && languages.size === 0) {
    throw new Error("Expected lang_to_id of the model's generation_config.json to have its languages, got none.");
  }
  const layerCount = needed(config, 'decoder_layers');
  return {
    melCount: melCountOf(config, preprocessor),
    layerCount,
    headCount,
    headSize: width / headCount,
    textPositions: numberAt(config, 'max_target_positions') ?? 448,
    audioPositions: numberAt(config, 'max_source_positions') ?? 1500,
    vocabularySize: numberAt(config, 'vocab_size'),
    startOfTranscript: neededToken(said('decoder_start_token_id'), 'decoder_start_token_id'),
    endOfText: neededToken(said('eos_token_id'), 'eos_token_id'),
    multilingual,
    languages,
    tasks: { transcribe: numberAt(tasks, 'transcribe'), translate: numberAt(tasks, 'translate') },
    noTimestamps: numberAt(generation, 'no_timestamps_token_id'),
    startOfPrevious: numberAt(generation, 'prev_sot_token_id'),
    suppressed: numbers(said('suppress_tokens')),
    suppressedFirst: numbers(said('begin_suppress_tokens')),
    maxInitialTimestampIndex: numberAt(generation, 'max_initial_timestamp_index') ?? MAX_INITIAL_TIMESTAMP_INDEX,
    alignmentHeads: alignmentHeads(said('alignment_heads'), defaults.alignment_heads, layerCount, headCount),
  };
}

function melCountOf(config: JsonObject, preprocessor: JsonObject): number {
  const own = numberAt(config, 'num_mel_bins');
  const prepared = numberAt(preprocessor, 'feature_size');
  if (own !== undefined && prepared !== undefined && own !== prepared) {
    throw new Error(
      `Expected feature_size of the model's preprocessor_config.json to be ${own}, num_mel_bins of its config.json, got ${prepared}.`,
    );
  }
  return prepared ?? own ?? DEFAULT_MEL_COUNT;
}

function languagesIn(table: unknown): ReadonlyMap<string, number> {
  const entries = Object.entries(asObject(table));
  return new Map(
    entries.flatMap(([token, id]) => (typeof id === 'number' ? [[token.replace(/^<\|(.*)\|>$/, '$1'), id]] : [])),
  );
}

/** The heads that the model has: a fine-tune with fewer layers may have the list of a larger model. If it has none of them, the defaults. */
function alignmentHeads(
  listed: unknown,
  defaults: unknown,
  layers: number,
  heads: number,
): WhisperConfig['alignmentHeads'] {
  const own = pairs(listed).filter(([layer, head]) => layer < layers && head < heads);
  return own.length > 0 ? own : pairs(defaults);
}

function needed(object: JsonObject, key: string): number {
  const value = numberAt(object, key);
  if (value === undefined) {
    throw new Error(`Expected the model's config.json to have a number ${key}, got ${JSON.stringify(object[key])}.`);
  }
  return value;
}

/** A token given as a number or as a list that begins with it. */
function neededToken(value: unknown, key: string): number {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof first === 'number') return first;
  throw new Error(
    `Expected the model's generation_config.json or config.json to have a number ${key}, got ${JSON.stringify(first)}.`,
  );
}

function numbers(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((item): item is number => typeof item === 'number' && item >= 0) : [];
}

function pairs(value: unknown): readonly (readonly [number, number])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((pair: unknown) => {
    const [layer, head] = numbers(pair);
    return layer === undefined || head === undefined ? [] : [[layer, head] as const];
  });
}
