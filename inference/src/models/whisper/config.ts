import { join } from 'node:path';
import { type JsonObject, numberAt, objectAt, readJsonObject } from '../../json.js';

/** What Whisper's own JSON files say, checked. */
export interface WhisperConfig {
  /** Mel bands of the encoder's input: 80, or 128 for large-v3. */
  readonly melCount: number;
  /** Decoder layers, each with a key-value cache. */
  readonly layerCount: number;
  readonly headCount: number;
  readonly headSize: number;
  /** Positions of the decoder: prompt and answer together, 448. */
  readonly textPositions: number;
  /** Positions of the encoder's output for 30 s, 1500. */
  readonly audioPositions: number;
  readonly startOfTranscript: number;
  readonly endOfText: number;
  readonly multilingual: boolean;
  /** Token by ISO 639-1 code; empty for English-only models. */
  readonly languages: ReadonlyMap<string, number>;
  readonly tasks: Readonly<Record<'transcribe' | 'translate', number | undefined>>;
  /** Undefined: looked up in the vocabulary. */
  readonly noTimestamps: number | undefined;
  readonly startOfPrevious: number | undefined;
  /** Never sampled. */
  readonly suppressed: readonly number[];
  /** Never sampled first. */
  readonly suppressedFirst: readonly number[];
  /** The first time may be at most this many steps of 20 ms. */
  readonly maxInitialTimestampIndex: number;
  /** Layer and head of the cross attentions that follow the time. Empty: unknown. */
  readonly alignmentHeads: readonly (readonly [number, number])[];
}

/** The reference's limit of 1 s for a window's first time. */
const MAX_INITIAL_TIMESTAMP_INDEX = 50;

/** Reads config.json, generation_config.json and preprocessor_config.json. Throws when one is missing or lacks what is needed. */
export async function readWhisperConfig(dir: string): Promise<WhisperConfig> {
  const [config, generation, preprocessor] = await Promise.all([
    readJsonObject(join(dir, 'config.json')),
    readJsonObject(join(dir, 'generation_config.json')),
    readJsonObject(join(dir, 'preprocessor_config.json')),
  ]);
  return parseWhisperConfig(config, generation, preprocessor);
}

/** As `readWhisperConfig`, of files already read. */
export function parseWhisperConfig(
  config: JsonObject,
  generation: JsonObject,
  preprocessor: JsonObject,
): WhisperConfig {
  const width = needed(config, 'd_model');
  const headCount = needed(config, 'decoder_attention_heads');
  const languages = new Map<string, number>();
  for (const [token, id] of Object.entries(objectAt(generation, 'lang_to_id'))) {
    if (typeof id === 'number') languages.set(token.replace(/^<\|(.*)\|>$/, '$1'), id);
  }
  const tasks = objectAt(generation, 'task_to_id');
  return {
    melCount: numberAt(preprocessor, 'feature_size') ?? needed(config, 'num_mel_bins'),
    layerCount: needed(config, 'decoder_layers'),
    headCount,
    headSize: width / headCount,
    textPositions: numberAt(config, 'max_target_positions') ?? 448,
    audioPositions: numberAt(config, 'max_source_positions') ?? 1500,
    startOfTranscript: numberAt(generation, 'decoder_start_token_id') ?? needed(config, 'decoder_start_token_id'),
    endOfText: firstNumber(generation.eos_token_id) ?? needed(config, 'eos_token_id'),
    multilingual: generation.is_multilingual === true || languages.size > 1,
    languages,
    tasks: { transcribe: numberAt(tasks, 'transcribe'), translate: numberAt(tasks, 'translate') },
    noTimestamps: numberAt(generation, 'no_timestamps_token_id'),
    startOfPrevious: numberAt(generation, 'prev_sot_token_id'),
    suppressed: numbers(generation.suppress_tokens ?? config.suppress_tokens),
    suppressedFirst: numbers(generation.begin_suppress_tokens ?? config.begin_suppress_tokens),
    maxInitialTimestampIndex: numberAt(generation, 'max_initial_timestamp_index') ?? MAX_INITIAL_TIMESTAMP_INDEX,
    alignmentHeads: pairs(generation.alignment_heads),
  };
}

function needed(object: JsonObject, key: string): number {
  const value = numberAt(object, key);
  if (value === undefined) {
    throw new Error(`Expected the model's config.json to have a number ${key}, got ${JSON.stringify(object[key])}.`);
  }
  return value;
}

function firstNumber(value: unknown): number | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'number' ? first : undefined;
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
