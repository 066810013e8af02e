import { InferenceError } from '../../errors.js';
import type { WhisperConfig } from './config.js';
import type { Vocabulary } from './vocabulary.js';
import type { DecodeOptions } from './window.js';

/** Maximum tokens of text before a window: half the decoder's positions less one. */
export function maxPromptTokens(config: WhisperConfig): number {
  return config.textPositions / 2 - 1;
}

/**
 * Returns the text before a window as tokens: hotwords first, then the end of the previous text. Empty when there is
 * neither.
 */
export function textBefore(
  config: WhisperConfig,
  vocabulary: Vocabulary,
  hotwords: string | undefined,
  previousTokens: readonly number[],
): readonly number[] {
  const limit = maxPromptTokens(config);
  // Hotwords may take at most half the space: they come with every window and must not displace the previous text.
  const space = previousTokens.length === 0 ? limit : Math.floor(limit / 2);
  const expected = hotwords === undefined ? [] : encodeText(vocabulary, hotwords, space);
  const previous = previousTokens.slice(Math.max(0, previousTokens.length - (limit - expected.length)));
  if (expected.length + previous.length === 0) return [];
  return [vocabulary.special.startOfPrevious, ...expected, ...previous];
}

/** Encodes text the way the model sees words within speech: with a leading space, and letters that are whole (Hangul syllables, umlauts). */
export function encodeText(vocabulary: Vocabulary, text: string, limit?: number): readonly number[] {
  const trimmed = text.normalize('NFC').trim();
  return trimmed === '' ? [] : vocabulary.encode(` ${trimmed}`, limit);
}

/** The start-of-transcript sequence: language, task, whether timestamps are requested. */
export function sotSequence(
  config: WhisperConfig,
  vocabulary: Vocabulary,
  language: string,
  options: Pick<DecodeOptions, 'task' | 'timestamps'>,
): readonly number[] {
  const { special } = vocabulary;
  const times = options.timestamps === 'none' ? [special.noTimestamps] : [];
  if (!config.multilingual) return times;
  const languageToken = config.languages.get(language);
  const task = special[options.task];
  if (languageToken === undefined || task === undefined)
    throw new Error('Expected a language and a task of the model.');
  return [languageToken, task, ...times];
}

/**
 * Checks the request against the model's abilities. Throws LANGUAGE_UNSUPPORTED, or INVALID_ARGUMENT for a translation
 * by an English-only model.
 */
export function assertSupported(
  modelId: string,
  config: WhisperConfig,
  language: string | undefined,
  options: Pick<DecodeOptions, 'task'>,
): void {
  if (!config.multilingual) {
    if (language !== undefined && language !== 'en') {
      throw new InferenceError(
        'LANGUAGE_UNSUPPORTED',
        `${modelId} supports English only, got language "${language}". Serve a multilingual model, such as ASR_MODEL=base, for it.`,
        { field: 'options.language' },
      );
    }
    if (options.task === 'translate') {
      throw new InferenceError(
        'INVALID_ARGUMENT',
        `${modelId} supports English only and cannot translate. Serve a multilingual model, such as ASR_MODEL=base, for it.`,
        { field: 'options.task' },
      );
    }
  } else if (language !== undefined && !config.languages.has(language)) {
    throw new InferenceError(
      'LANGUAGE_UNSUPPORTED',
      `Expected language to be one of ${[...config.languages.keys()].sort().join(', ')}, got "${language}". Leave it out to have it detected.`,
      { field: 'options.language' },
    );
  }
}

/** Throws TIMESTAMPS_UNSUPPORTED when word times are requested of a model without cross-attention outputs. */
export function checkWordTimes(
  modelId: string,
  config: WhisperConfig,
  attentionLayers: readonly number[],
  options: Pick<DecodeOptions, 'timestamps'>,
): void {
  if (options.timestamps !== 'word') return;
  const { alignmentHeads } = config;
  if (alignmentHeads.length > 0 && alignmentHeads.every(([layer]) => attentionLayers.includes(layer))) return;
  throw new InferenceError(
    'TIMESTAMPS_UNSUPPORTED',
    `${modelId} does not support word timestamps: it was exported without its cross attentions. Serve an export that has them, such as ASR_MODEL=onnx-community/whisper-base_timestamped (also whisper-tiny_timestamped, whisper-small_timestamped).`,
    { field: 'options.timestamps' },
  );
}
