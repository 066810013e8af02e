import { indexOfHighest, logSumExp } from '../decoding/scores.js';
import type { SpecialTokens } from './vocabulary.js';

/** Suppresses tokens that must not be sampled next. Source: the logit filters of OpenAI's whisper/decoding.py. */
export interface LogitsProcessorsOptions {
  readonly special: SpecialTokens;
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
const LEFT_OVER_INDEX = 100;
/** Required probability of an end of text that comes before the speech ends. */
const SURE_END = Math.log(0.9);

export class LogitsProcessors {
  readonly #options: LogitsProcessorsOptions;
  readonly #never: Int32Array;
  readonly #neverFirst: Int32Array;

  constructor(options: LogitsProcessorsOptions) {
    this.#options = options;
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
    if (this.#options.timestamps) this.#applyTimestamps(logits, sampled);
    else logits.fill(Number.NEGATIVE_INFINITY, this.#options.special.firstTimestamp);
  }

  #applyTimestamps(logits: Float32Array, sampled: readonly number[]): void {
    const { firstTimestamp: first, endOfText } = this.#options.special;
    const last = sampled.at(-1);
    const lastWasTime = last !== undefined && last >= first;
    const before = sampled.at(-2);
    const beforeWasTime = before === undefined || before >= first;

    // In a window cut at a pause, half of the texts would otherwise end with a timestamp in the middle, as if cut
    // there.
    const end = this.#options.speechEndIndex;
    if (lastWasTime && sampled.length > 1 && end !== undefined && last - first < end - LEFT_OVER_INDEX) {
      const surety = (logits[endOfText] ?? Number.NEGATIVE_INFINITY) - logSumExp(logits);
      if (surety < SURE_END) logits[endOfText] = Number.NEGATIVE_INFINITY;
    }
    // Timestamps come in pairs (an end and the next start) except for the first. Only the end of text may follow an end
    // timestamp.
    if (lastWasTime) {
      if (beforeWasTime) logits.fill(Number.NEGATIVE_INFINITY, first);
      else logits.fill(Number.NEGATIVE_INFINITY, 0, endOfText);
    }
    const latest = sampled.findLast((token) => token >= first);
    if (latest !== undefined) {
      // Timestamps never decrease, and a segment has a positive length.
      const allowed = lastWasTime && !beforeWasTime ? latest : latest + 1;
      logits.fill(Number.NEGATIVE_INFINITY, first, Math.max(first, allowed));
    }
    if (sampled.length === 0) {
      logits.fill(Number.NEGATIVE_INFINITY, 0, first);
      logits.fill(Number.NEGATIVE_INFINITY, first + this.#options.maxInitialTimestampIndex + 1);
      return;
    }
    // If the timestamps together are more probable than any text token, sample a timestamp.
    const text = indexOfHighest(logits, 0, first);
    if (text < 0 || logSumExp(logits, first) > (logits[text] ?? 0)) logits.fill(Number.NEGATIVE_INFINITY, 0, first);
  }
}
