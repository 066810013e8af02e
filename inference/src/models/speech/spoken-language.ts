import type { SpeechSegment } from './speech.js';
import { type DetectedLanguage, givenLanguage } from './transcript.js';

/** Seconds of speech, times the probability of their language, after which that is the language of all that follows. */
const ENOUGH_SECONDS = 3;
/** The longest that a letter takes: without an end of its own, a word may have the time of all of its window. */
const MAX_LETTER_SECONDS = 0.3;

/**
 * The language of one audio file or stream: the one given, or the one detected in enough of its speech. A single word is easily taken for
 * another language, in which all that follows would then be read. Until enough was said, the language of each window is detected.
 */
export class SpokenLanguage {
  readonly #seconds = new Map<string | undefined, number>();
  #detected: DetectedLanguage;
  #final: string | undefined;

  /** `given`: absent where it is to be detected. */
  constructor(given: string | undefined) {
    this.#detected = givenLanguage(given);
    this.#final = given;
  }

  /** The language to decode in. Undefined: not certain yet. */
  get final(): string | undefined {
    return this.#final;
  }

  /** The final language, or the one in which most was said so far. */
  get detected(): DetectedLanguage {
    return this.#detected;
  }

  /** Adds what was said, and the language that was detected in it. */
  add(
    { language, languageProbability }: DetectedLanguage,
    said: readonly Pick<SpeechSegment, 'startSeconds' | 'endSeconds' | 'text'>[],
  ): void {
    if (this.#final !== undefined || language === undefined) return;
    const lengths = said.map(({ startSeconds, endSeconds, text }) =>
      Math.min(endSeconds - startSeconds, text.trim().length * MAX_LETTER_SECONDS),
    );
    const length = lengths.reduce((sum, seconds) => sum + seconds, 0);
    const seconds = (this.#seconds.get(language) ?? 0) + length * languageProbability;
    this.#seconds.set(language, seconds);
    if (seconds < (this.#seconds.get(this.#detected.language) ?? 0)) return;
    this.#detected = { language, languageProbability };
    if (seconds >= ENOUGH_SECONDS) this.#final = language;
  }
}
