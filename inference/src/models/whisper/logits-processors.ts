import { indexOfHighest, logSumExp } from '../decoding/scores.js';
import type { SpecialTokens } from './vocabulary.js';

/** What may be sampled next. Source: the logit filters of OpenAI's whisper/decoding.py. */
export interface LogitsProcessorsOptions {
  readonly special: SpecialTokens;
  /** Never sampled. */
  readonly suppressed: readonly number[];
  /** Never sampled first. */
  readonly suppressedFirst: readonly number[];
  readonly timestamps: boolean;
  /** The first time may be at most this many steps of 20 ms. */
  readonly maxInitialTimestampIndex: number;
  /** Where speech ends that is all in the window, in steps of 20 ms; absent: it may go on behind the window. */
  readonly speechEndIndex?: number | undefined;
}

/** So much speech may be left when a text ends: times are rough, and a breath is no word. 2 s, in steps of 20 ms. */
const LEFT_OVER_INDEX = 100;
/** A text that ends before its speech does must be so sure of it. */
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

  /** Puts -Infinity on what must not follow `sampled`, the tokens of the window so far. */
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

    // Where a window is cut in a pause, half of the texts would end at a time in its midst, as if it were cut there.
    const end = this.#options.speechEndIndex;
    if (lastWasTime && sampled.length > 1 && end !== undefined && last - first < end - LEFT_OVER_INDEX) {
      const surety = (logits[endOfText] ?? Number.NEGATIVE_INFINITY) - logSumExp(logits);
      if (surety < SURE_END) logits[endOfText] = Number.NEGATIVE_INFINITY;
    }
    // Times come in pairs, an end and the next start, but for the window's first; only the end of the text may follow an end.
    if (lastWasTime) {
      if (beforeWasTime) logits.fill(Number.NEGATIVE_INFINITY, first);
      else logits.fill(Number.NEGATIVE_INFINITY, 0, endOfText);
    }
    const latest = sampled.findLast((token) => token >= first);
    if (latest !== undefined) {
      // Times never go back, and a segment is longer than nothing.
      const allowed = lastWasTime && !beforeWasTime ? latest : latest + 1;
      logits.fill(Number.NEGATIVE_INFINITY, first, Math.max(first, allowed));
    }
    if (sampled.length === 0) {
      logits.fill(Number.NEGATIVE_INFINITY, 0, first);
      logits.fill(Number.NEGATIVE_INFINITY, first + this.#options.maxInitialTimestampIndex + 1);
      return;
    }
    // When times together are likelier than any other token, a time it is.
    const text = indexOfHighest(logits, 0, first);
    if (text < 0 || logSumExp(logits, first) > (logits[text] ?? 0)) logits.fill(Number.NEGATIVE_INFINITY, 0, first);
  }
}
