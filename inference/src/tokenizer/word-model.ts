/** Encodes a word to token ids. */
export interface WordModel {
  /** May stop once there are more than `limit`: the first, or the last if `fromEnd`. */
  idsOf(word: string, limit: number, fromEnd?: boolean): readonly number[];
}

const MAX_WORDS = 20_000;
/** Maximum length of cached words: longer ones are rare and would fill the memory. */
const MAX_WORD_LENGTH = 24;

/** Caches the ids of short words: most words of a text occurred in earlier texts. */
export class CachedModel implements WordModel {
  readonly #known = new Map<string, readonly number[]>();

  constructor(private readonly model: WordModel) {}

  idsOf(word: string, limit: number, fromEnd = false): readonly number[] {
    if (word.length > MAX_WORD_LENGTH) return this.model.idsOf(word, limit, fromEnd);
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const ids = this.model.idsOf(word, Number.POSITIVE_INFINITY);
    if (this.#known.size >= MAX_WORDS) this.#known.clear();
    this.#known.set(word, ids);
    return ids;
  }
}
