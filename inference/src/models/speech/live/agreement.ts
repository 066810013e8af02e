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

/**
 * Returns how many of the first words of `now` the last hypothesis has as well: the same letters that end with a word in both. Between two
 * passes Korean words often get other spaces.
 */
function commonPrefix(before: readonly SpeechWord[], now: readonly SpeechWord[]): number {
  let agreed = 0;
  let [taken, letters, others] = [0, '', ''];
  for (const [index, { text }] of now.entries()) {
    letters += normalizedWord(text);
    for (; others.length < letters.length && taken < before.length; taken++) {
      others += normalizedWord(before[taken]?.text ?? '');
    }
    if (!others.startsWith(letters)) break;
    if (others === letters) agreed = index + 1;
  }
  return agreed;
}

/** Words that a hypothesis may write as one. */
const MAX_JOINED = 3;

/** For each word its letters, then with those of the word before it, and so on. */
function joinedWords(words: readonly SpeechWord[]): readonly (readonly string[])[] {
  const letters = words.map(({ text }) => normalizedWord(text));
  return letters.map((_, index) =>
    Array.from({ length: Math.min(MAX_JOINED, index + 1) }, (_, more) =>
      letters.slice(index - more, index + 1).join(''),
    ),
  );
}

/**
 * Returns how many of the first words of `hypothesis` say the confirmed words again: the prefix with the smallest edit distance to
 * them, of equals one that ends with the same word, else the one nearest in length. A confirmed word that the hypothesis has
 * corrected is thus not said twice. Other spaces between the same letters are no difference.
 */
export function repeatedLength(confirmed: readonly SpeechWord[], hypothesis: readonly SpeechWord[]): number {
  const said = joinedWords(confirmed);
  const words = joinedWords(hypothesis);
  const table = [[0, ...words.map((_, index) => index + 1)]];
  const distance = (row: number, column: number) => table[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (const [row, endings] of said.entries()) {
    const line = [row + 1];
    table.push(line);
    for (const [column, others] of words.entries()) {
      let least = 1 + Math.min(distance(row, column), distance(row, column + 1), distance(row + 1, column));
      for (const [more, letters] of endings.entries()) {
        const joined = others.indexOf(letters);
        if (joined >= 0) least = Math.min(least, distance(row - more, column - joined));
      }
      line.push(least);
    }
  }
  const last = said.at(-1)?.[0];
  const tieBreak = (length: number) =>
    (words[length - 1]?.[0] === last ? 0 : 0.1) + Math.abs(length - confirmed.length) / 1e4;
  const cost = (length: number) => distance(said.length, length) + tieBreak(length);
  return [0, ...words.keys()].reduce((best, _, length) => (cost(length) < cost(best) ? length : best), 0);
}
