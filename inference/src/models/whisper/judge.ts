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
  /** A word was nearly another one; only looked for where the input was cut short. */
  readonly doubtful: boolean;
}

/** The thresholds an attempt is judged by. */
type Thresholds = Pick<DecodeOptions, 'compressionRatioThreshold' | 'logProbThreshold' | 'noSpeechThreshold'>;

/** Whether the window needs another attempt, hotter. Source: transcribe.py of OpenAI's Whisper. */
export function needsAnother(attempt: Attempt, limits: Thresholds): boolean {
  // Where nothing is said no attempt will find better words.
  if (isSilence(attempt, limits)) return false;
  return attempt.avgLogProb < limits.logProbThreshold || attempt.compressionRatio > limits.compressionRatioThreshold;
}

/**
 * Whether the window holds no speech, whatever words were found. The reference wants the words to be unsure; of steady noise
 * the model is sure to hear thanks for watching, so there its no-speech probability decides alone.
 */
export function isSilence(attempt: Attempt, limits: Thresholds): boolean {
  const unsure = attempt.avgLogProb < limits.logProbThreshold;
  return attempt.noSpeechProb > limits.noSpeechThreshold && (unsure || attempt.steady);
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
