/** Makes token ids of a word. */
export interface WordModel {
  idsOf(word: string): readonly number[];
}

const MAX_WORDS = 20_000;
/** Longer words are rare, and would fill the memory. */
const LONGEST_WORD = 24;

/** Remembers the ids of short words: a text's words are mostly those of the texts before. */
export class CachedModel implements WordModel {
  readonly #model: WordModel;
  readonly #known = new Map<string, readonly number[]>();

  constructor(model: WordModel) {
    this.#model = model;
  }

  idsOf(word: string): readonly number[] {
    if (word.length > LONGEST_WORD) return this.#model.idsOf(word);
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const ids = this.#model.idsOf(word);
    if (this.#known.size >= MAX_WORDS) this.#known.clear();
    this.#known.set(word, ids);
    return ids;
  }
}
