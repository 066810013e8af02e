import type { DecodeOptions } from './window.js';

/** What one attempt at a window came to. */
export interface Attempt {
  /** Times included, without the end of text. */
  readonly tokens: readonly number[];
  readonly text: string;
  /** Mean natural logarithm of the tokens' probabilities, the end of text among them. */
  readonly avgLogProb: number;
  readonly noSpeechProb: number;
  readonly compressionRatio: number;
  readonly temperature: number;
  /** The window is as steady as noise is. */
  readonly steady: boolean;
  /** Its words are the last ones of the text before. */
  readonly echoes: boolean;
  /** A word was nearly another one; only looked for where the input was cut short. */
  readonly doubtful: boolean;
}

/** The thresholds an attempt is judged by. */
type Thresholds = Pick<DecodeOptions, 'compressionRatioThreshold' | 'logProbThreshold' | 'noSpeechThreshold'>;

/** Whether a text, signs and capitals aside, is the end of another; of no words it is not. */
export function isEndOf(text: string, other: string): boolean {
  const wordsOf = (one: string) => (one.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).join(' ');
  const end = wordsOf(text);
  return end !== '' && ` ${wordsOf(other)}`.endsWith(` ${end}`);
}

/** Whether the window needs another attempt, hotter. Source: transcribe.py of OpenAI's Whisper. */
export function needsFallback(attempt: Attempt, limits: Thresholds): boolean {
  // Where nothing is said no attempt will find better words.
  if (isSilence(attempt, limits)) return false;
  return attempt.avgLogProb < limits.logProbThreshold || attempt.compressionRatio > limits.compressionRatioThreshold;
}

/**
 * Whether the window holds no speech, whatever words were found. The reference wants the words to be unsure; of a text that
 * repeats itself, or the end of the text before, the model grows sure by the repetition alone, and of steady noise it is sure to
 * hear thanks for watching: there its no-speech probability decides alone.
 */
export function isSilence(attempt: Attempt, limits: Thresholds): boolean {
  const unsure = attempt.avgLogProb < limits.logProbThreshold;
  const repeats = attempt.compressionRatio > limits.compressionRatioThreshold;
  return attempt.noSpeechProb > limits.noSpeechThreshold && (unsure || repeats || attempt.steady || attempt.echoes);
}

/**
 * A natural logarithm. What was made up for music lost 0.1 to 1.1 of its mean log-probability before a hiss, speech in noise as
 * loud as itself or twice as strong at most 0.03: measured with Whisper base.
 */
const MOST_LOST_BEFORE_HISS = 0.1;

/**
 * Whether a window of which no attempt convinced holds no speech: half of what would be needed speaks for it, and the first
 * attempt repeats itself or is less sure before a hiss than `beforeSilence`, the same before silence (undefined where it was not
 * heard before both). Speech that noise hides is unsure, but as sure before either.
 */
export function isSilenceAfterAll(
  attempts: readonly Attempt[],
  beforeSilence: Attempt | undefined,
  limits: Thresholds,
): boolean {
  const [first] = attempts;
  if (first === undefined) return false;
  const lost = (beforeSilence ?? first).avgLogProb - first.avgLogProb;
  const madeUp = lost > MOST_LOST_BEFORE_HISS || first.compressionRatio > limits.compressionRatioThreshold;
  return (
    madeUp &&
    attempts.every((attempt) => needsFallback(attempt, limits) && attempt.noSpeechProb > limits.noSpeechThreshold / 2)
  );
}

/**
 * Whether a window's words may be made up: they do not convince, or the no-speech probability is above half its limit.
 */
export function mayHoldNoSpeech(attempt: Attempt, limits: Thresholds): boolean {
  return needsFallback(attempt, limits) || attempt.noSpeechProb > limits.noSpeechThreshold / 2;
}

/**
 * The best of attempts that all failed: the surest of those that do not repeat themselves, or of all when each does.
 * Source: generate_with_fallback of faster-whisper. Throws when there is none.
 */
export function leastBad(attempts: readonly Attempt[], limits: Thresholds): Attempt {
  const fluent = attempts.filter((attempt) => attempt.compressionRatio <= limits.compressionRatioThreshold);
  const [first, ...others] = fluent.length > 0 ? fluent : attempts;
  if (first === undefined) throw new Error('Expected at least one attempt.');
  return others.reduce((best, attempt) => (attempt.avgLogProb > best.avgLogProb ? attempt : best), first);
}
