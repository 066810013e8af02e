import type { DecodeOptions } from './window.js';

/** The result of decoding a window at one temperature. */
export interface DecodingResult {
  /** Timestamps included, end of text excluded. */
  readonly tokens: readonly number[];
  /** Mean natural log-probability of the tokens, including the end of text. */
  readonly avgLogProb: number;
  readonly noSpeechProb: number;
  readonly compressionRatio: number;
  readonly temperature: number;
  /** The window is as steady as noise. */
  readonly steady: boolean;
  /** Its words are the last ones of the previous text. */
  readonly echoes: boolean;
  /** A word had a close rival. Only checked where the input was shortened. */
  readonly doubtful: boolean;
}

/** The thresholds of the temperature fallback. */
type Thresholds = Pick<DecodeOptions, 'compressionRatioThreshold' | 'logProbThreshold' | 'noSpeechThreshold'>;

/** Whether a text, punctuation and case aside, is the end of another one. False without words. */
export function isEndOf(text: string, other: string): boolean {
  const wordsOf = (value: string) => (value.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).join(' ');
  const end = wordsOf(text);
  return end !== '' && ` ${wordsOf(other)}`.endsWith(` ${end}`);
}

/** Whether to decode the window again at a higher temperature. Source: transcribe.py of OpenAI's Whisper. */
export function needsFallback(result: DecodingResult, limits: Thresholds): boolean {
  // A higher temperature finds no better words in silence.
  if (isSilence(result, limits)) return false;
  return result.avgLogProb < limits.logProbThreshold || result.compressionRatio > limits.compressionRatioThreshold;
}

/**
 * Whether the window contains no speech, whatever text was decoded. The reference also requires a low log-probability.
 * But repetition alone, of itself or of the end of the previous text, makes the model confident, and on steady noise it is confident
 * of "thanks for watching". In these cases the no-speech probability decides alone.
 */
export function isSilence(result: DecodingResult, limits: Thresholds): boolean {
  const unsure = result.avgLogProb < limits.logProbThreshold;
  return result.noSpeechProb > limits.noSpeechThreshold && (unsure || result.steady || repeats(result, limits));
}

/**
 * A natural logarithm. Hallucinations on music lost 0.1 to 1.1 of their mean log-probability with zero padding, speech in noise as loud
 * as itself or twice as strong at most 0.03. Measured with Whisper base.
 */
const MAX_LOSS_OF_SPEECH = 0.1;

/**
 * Whether a window in which every temperature failed contains no speech: half of the no-speech threshold is enough, if the first result
 * repeats itself or has a lower log-probability with zero padding than with padded silence (`beforeSilence`; undefined if the window was
 * not decoded with both). Speech in noise is unsure, but equally so with either padding.
 */
export function allSuggestSilence(
  results: readonly DecodingResult[],
  beforeSilence: DecodingResult | undefined,
  limits: Thresholds,
): boolean {
  const [first] = results;
  if (first === undefined) return false;
  const loss = (beforeSilence ?? first).avgLogProb - first.avgLogProb;
  const hallucinated = loss > MAX_LOSS_OF_SPEECH || first.compressionRatio > limits.compressionRatioThreshold;
  return (
    hallucinated &&
    results.every((result) => needsFallback(result, limits) && result.noSpeechProb > limits.noSpeechThreshold / 2)
  );
}

/** Whether a result repeats itself, or the end of the text before it. */
function repeats(result: DecodingResult, limits: Thresholds): boolean {
  return result.compressionRatio > limits.compressionRatioThreshold || result.echoes;
}

/**
 * Whether the text before a window may have misled the model, if there is any: the first result repeats it, or itself, and nothing better was
 * found. A text that repeats itself can make the model sure of the repetition, whatever is said: half a minute of speech passed for silence.
 */
export function mayBeMisled(
  first: DecodingResult,
  passed: DecodingResult | undefined,
  silent: boolean,
  limits: Thresholds,
): boolean {
  return repeats(first, limits) && (silent || passed === undefined || passed.echoes);
}

/**
 * Whether the result without the text before a window replaces the one with it, which may have misled the model (`misled`; undefined where that
 * one failed or passed for silence). A name may be all that is said, and the text before the window have its spelling: so the result without
 * that text must have more than twice as many tokens.
 */
export function corrects(alone: DecodingResult, misled: DecodingResult | undefined, limits: Thresholds): boolean {
  if (needsFallback(alone, limits) || isSilence(alone, limits)) return false;
  return misled === undefined || alone.tokens.length > 2 * misled.tokens.length;
}

/** Whether the text may be hallucinated: it needs fallback, or the no-speech probability exceeds half its threshold. */
export function mayHoldNoSpeech(result: DecodingResult, limits: Thresholds): boolean {
  return needsFallback(result, limits) || result.noSpeechProb > limits.noSpeechThreshold / 2;
}

/**
 * Returns the best of results that all failed: the highest log-probability among those that do not repeat themselves,
 * or among all if every one does. Source: generate_with_fallback of faster-whisper. Throws when there are no results.
 */
export function bestOfFailed(results: readonly DecodingResult[], limits: Thresholds): DecodingResult {
  const fluent = results.filter((result) => result.compressionRatio <= limits.compressionRatioThreshold);
  const [first, ...others] = fluent.length > 0 ? fluent : results;
  if (first === undefined) throw new Error('Expected at least one result.');
  return others.reduce((best, result) => (result.avgLogProb > best.avgLogProb ? result : best), first);
}
