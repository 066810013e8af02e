import { indexOfHighest, logSumExp } from '../decoding/scores.js';
import { isTimestamp, TIMESTAMP_COUNT } from './segments.js';
import type { SpecialTokens } from './vocabulary.js';

/** Suppresses tokens that must not be sampled next. Source: the logit filters of OpenAI's whisper/decoding.py. */
export interface LogitsProcessorsOptions {
  readonly special: SpecialTokens;
  /** Whether a token behind the timestamps is text: others there are never sampled. */
  readonly isText: (token: number) => boolean;
  /** Never sampled. */
  readonly suppressed: readonly number[];
  /** Never sampled as the first token. */
  readonly suppressedFirst: readonly number[];
  readonly timestamps: boolean;
  /** Upper limit of the first timestamp, in steps of 20 ms. */
  readonly maxInitialTimestampIndex: number;
  /** End of speech, in steps of 20 ms, if all of it is in the window. Absent: speech may continue after the window. */
  readonly speechEndIndex?: number | undefined;
}

/**
 * Speech that may remain when a text ends, because times are rough and a breath is not a word. 2 s, in steps of 20 ms.
 */
export const LEFT_OVER_INDEX = 100;
/** Required probability of an end of text that comes before the speech ends. */
const SURE_END = Math.log(0.9);

export class LogitsProcessors {
  readonly #never: Int32Array;
  readonly #neverFirst: Int32Array;

  constructor(private readonly options: LogitsProcessorsOptions) {
    const { special } = options;
    const unspoken = [
      special.startOfTranscript,
      special.startOfPrevious,
      special.noSpeech,
      special.noTimestamps,
      special.transcribe,
      special.translate,
    ].filter((token) => token !== undefined);
    this.#never = Int32Array.from(new Set([...options.suppressed, ...unspoken]));
    this.#neverFirst = Int32Array.from(options.suppressedFirst);
  }

  /** Sets the scores of tokens that must not follow `sampled` (the window's tokens so far) to -Infinity. */
  apply(logits: Float32Array, sampled: readonly number[]): void {
    for (const token of this.#never) logits[token] = Number.NEGATIVE_INFINITY;
    if (sampled.length === 0) for (const token of this.#neverFirst) logits[token] = Number.NEGATIVE_INFINITY;
    const { special, isText } = this.options;
    const first = special.firstTimestamp;
    for (let token = first + TIMESTAMP_COUNT; token < logits.length; token++)
      if (!isText(token)) logits[token] = Number.NEGATIVE_INFINITY;
    if (this.options.timestamps) this.#applyTimestamps(logits, sampled);
    else logits.fill(Number.NEGATIVE_INFINITY, first, first + TIMESTAMP_COUNT);
  }

  #applyTimestamps(logits: Float32Array, sampled: readonly number[]): void {
    const { firstTimestamp: first, endOfText } = this.options.special;
    const end = first + TIMESTAMP_COUNT;
    const forbid = (from: number, to: number) => logits.fill(Number.NEGATIVE_INFINITY, from, to);
    const last = sampled.at(-1);
    const lastWasTime = isTimestamp(last, first);
    const before = sampled.at(-2);
    const beforeWasTime = before === undefined || isTimestamp(before, first);

    // In a window cut at a pause, half of the texts would otherwise end with a timestamp in the middle, as if cut
    // there.
    const { speechEndIndex } = this.options;
    if (lastWasTime && sampled.length > 1 && last - first < (speechEndIndex ?? 0) - LEFT_OVER_INDEX) {
      const surety = (logits[endOfText] ?? Number.NEGATIVE_INFINITY) - logSumExp(logits);
      if (surety < SURE_END) logits[endOfText] = Number.NEGATIVE_INFINITY;
    }
    // Timestamps come in pairs (an end and the next start) except for the first. Only the end of text may follow an end
    // timestamp.
    if (lastWasTime) {
      if (beforeWasTime) forbid(first, end);
      else {
        forbid(0, endOfText);
        forbid(end, logits.length);
      }
    }
    const latest = sampled.findLast((token) => isTimestamp(token, first));
    if (latest !== undefined) {
      // Timestamps never decrease, and a segment has a positive length.
      const allowed = lastWasTime && !beforeWasTime ? latest : latest + 1;
      forbid(first, Math.max(first, allowed));
    }
    if (sampled.length === 0) {
      forbid(0, first);
      forbid(first + this.options.maxInitialTimestampIndex + 1, logits.length);
      return;
    }
    // If the timestamps together are more probable than any text token, sample a timestamp.
    const scoreOf = (token: number) => logits[token] ?? Number.NEGATIVE_INFINITY;
    const text = Math.max(scoreOf(indexOfHighest(logits, 0, first)), scoreOf(indexOfHighest(logits, end)));
    if (logSumExp(logits, first, end) > text) {
      forbid(0, first);
      forbid(end, logits.length);
    }
  }
}
