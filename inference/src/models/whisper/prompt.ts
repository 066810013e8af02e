import { InferenceError } from '../../errors.js';
import type { WhisperConfig } from './config.js';
import type { Vocabulary } from './vocabulary.js';
import type { DecodeOptions } from './window.js';

/** Tokens of text before a window, at most: half the decoder's positions less one. */
export function maxPromptTokens(config: WhisperConfig): number {
  return config.textPositions / 2 - 1;
}

/** The text before a window as tokens: expected words first, then the end of what was said. Empty when there is neither. */
export function textBefore(
  config: WhisperConfig,
  vocabulary: Vocabulary,
  hotwords: string | undefined,
  previousTokens: readonly number[],
): readonly number[] {
  const limit = maxPromptTokens(config);
  // Expected words may take half the room: they come with every window, what was said before must not be lost for them.
  const room = previousTokens.length === 0 ? limit : Math.floor(limit / 2);
  const expected = hotwords === undefined ? [] : encodeText(vocabulary, hotwords).slice(0, room);
  const previous = previousTokens.slice(Math.max(0, previousTokens.length - (limit - expected.length)));
  if (expected.length + previous.length === 0) return [];
  return [vocabulary.special.startOfPrevious, ...expected, ...previous];
}

/** A text as the model sees words within speech: with a space in front. */
export function encodeText(vocabulary: Vocabulary, text: string): readonly number[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : vocabulary.encode(` ${trimmed}`);
}

/** What tells the model its job, after the start of the transcript: language, task, whether times are wanted. */
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
 * Checks what the caller wants against what the model can. Throws LANGUAGE_UNSUPPORTED, or INVALID_ARGUMENT for a
 * translation by an English-only model.
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
        `${modelId} knows English only, got language "${language}". Serve a multilingual model, such as ASR_MODEL=base, for it.`,
        { field: 'options.language' },
      );
    }
    if (options.task === 'translate') {
      throw new InferenceError(
        'INVALID_ARGUMENT',
        `${modelId} knows English only and cannot translate. Serve a multilingual model, such as ASR_MODEL=base, for it.`,
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

/** Throws TIMESTAMPS_UNSUPPORTED for word times by a model that does not give its alignment heads' attentions. */
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
    `${modelId} gives no times of words: it was exported without its cross attentions. Serve an export that has them, such as ASR_MODEL=onnx-community/whisper-base_timestamped (also whisper-tiny_timestamped, whisper-small_timestamped).`,
    { field: 'options.timestamps' },
  );
}
