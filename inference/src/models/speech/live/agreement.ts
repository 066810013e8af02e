import type { SpeechSegment, SpeechWord } from '../speech.js';

/** A word of a hypothesis, and the segment that it was decoded in. Times are seconds from the audio's start. */
export interface HypothesisWord extends SpeechWord {
  readonly segment: SpeechSegment;
}

/**
 * LocalAgreement-2: words are confirmed when two successive hypotheses of the same audio agree on them. Source: Machacek, Dabre,
 * Bojar, "Turning Whisper into Real-Time Transcription System", 2023. Words are compared without case and punctuation. Holds the
 * words of one window of audio.
 */
export class LocalAgreement {
  /** Confirmed words that the next hypothesis says again. */
  #confirmed: HypothesisWord[] = [];
  /** The words of the last hypothesis that are not confirmed. */
  #pending: readonly HypothesisWord[] = [];

  get confirmed(): readonly HypothesisWord[] {
    return this.#confirmed;
  }

  get pending(): readonly HypothesisWord[] {
    return this.#pending;
  }

  /** Takes the next hypothesis of the whole window; returns the newly confirmed words, in order. */
  push(hypothesis: readonly HypothesisWord[]): readonly HypothesisWord[] {
    const rest = this.#unconfirmed(hypothesis);
    const agreed = commonPrefix(this.#pending, rest);
    const words = rest.slice(0, agreed);
    this.#confirmed.push(...words);
    this.#pending = rest.slice(agreed);
    return words;
  }

  /** Takes the last hypothesis of the window: returns all its words that are not confirmed yet, and starts again. */
  finish(hypothesis: readonly HypothesisWord[]): readonly HypothesisWord[] {
    const words = this.#unconfirmed(hypothesis);
    this.#confirmed = [];
    this.#pending = [];
    return words;
  }

  /** Forgets the first `count` confirmed words, whose audio is dropped. */
  drop(count: number): void {
    this.#confirmed.splice(0, count);
  }

  #unconfirmed(hypothesis: readonly HypothesisWord[]): readonly HypothesisWord[] {
    return hypothesis.slice(repeatedLength(this.#confirmed, hypothesis));
  }
}

/** Compares words: without case, punctuation and white space. */
export function normalizedWord(text: string): string {
  const plain = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '');
  return plain === '' ? text.trim() : plain;
}

function commonPrefix(before: readonly SpeechWord[], now: readonly SpeechWord[]): number {
  const differs = now.findIndex((word, index) => {
    const other = before[index];
    return other === undefined || normalizedWord(other.text) !== normalizedWord(word.text);
  });
  return differs === -1 ? now.length : differs;
}

/**
 * Returns how many of the first words of `hypothesis` say the confirmed words again: the prefix with the smallest edit distance to
 * them, of equals one that ends with the same word, else the one nearest in length. A confirmed word that the hypothesis has
 * corrected is thus not said twice.
 */
export function repeatedLength(confirmed: readonly SpeechWord[], hypothesis: readonly SpeechWord[]): number {
  const words = hypothesis.map(({ text }) => normalizedWord(text));
  let distances = Array.from({ length: words.length + 1 }, (_, index) => index);
  for (const { text } of confirmed) {
    const word = normalizedWord(text);
    const next = [(distances[0] ?? 0) + 1];
    for (const [index, other] of words.entries()) {
      const replaced = (distances[index] ?? 0) + (word === other ? 0 : 1);
      next.push(Math.min(replaced, (distances[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    distances = next;
  }
  const last = normalizedWord(confirmed.at(-1)?.text ?? '');
  const tieBreak = (length: number) =>
    (words[length - 1] === last ? 0 : 0.1) + Math.abs(length - confirmed.length) / 1e4;
  const cost = (length: number) => (distances[length] ?? 0) + tieBreak(length);
  return distances.reduce((best, _, length) => (cost(length) < cost(best) ? length : best), 0);
}
