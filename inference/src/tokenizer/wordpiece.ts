import { isObject, type JsonObject, numberAt, stringAt } from '../json.js';
import { PieceTrie } from './piece-trie.js';
import type { WordModel } from './word-model.js';

const DEFAULT_LONGEST = 100;

/** Cuts a word into the longest known pieces from its front; a word that cannot be cut is unknown as a whole. Method: BERT's. */
export class WordPieceModel implements WordModel {
  readonly #trie = new PieceTrie();
  /** Where the pieces that go on with a word begin in the tree. */
  readonly #inside: number;
  readonly #unknown: number;
  readonly #longest: number;

  private constructor(vocabulary: JsonObject, prefix: string, unknown: number, longest: number) {
    for (const [piece, id] of Object.entries(vocabulary))
      if (piece !== '' && typeof id === 'number') this.#trie.add(piece, id);
    this.#inside = this.#trie.find(prefix);
    this.#unknown = unknown;
    this.#longest = longest;
  }

  /** Reads `model` of tokenizer.json. Undefined where it is one of another kind. */
  static read(config: JsonObject): WordPieceModel | undefined {
    const { vocab } = config;
    const unknown = isObject(vocab) ? vocab[stringAt(config, 'unk_token') ?? '[UNK]'] : undefined;
    if (!isObject(vocab) || typeof unknown !== 'number') return undefined;
    const prefix = stringAt(config, 'continuing_subword_prefix') ?? '##';
    return new WordPieceModel(vocab, prefix, unknown, numberAt(config, 'max_input_chars_per_word') ?? DEFAULT_LONGEST);
  }

  idsOf(word: string): number[] {
    if (word.length > this.#longest && [...word].length > this.#longest) return [this.#unknown];
    const ids: number[] = [];
    let start = 0;
    while (start < word.length) {
      const end = this.#longestPiece(word, start, ids);
      if (end === start) return [this.#unknown];
      start = end;
    }
    return ids;
  }

  /** Adds the longest piece at `start` to `ids` and gives its end; `start` where there is none. */
  #longestPiece(word: string, start: number, ids: number[]): number {
    let node = start === 0 ? 0 : this.#inside;
    let end = start;
    let found = -1;
    for (let at = start; at < word.length; at += 1) {
      node = this.#trie.step(node, word.charCodeAt(at));
      if (node === 0) break;
      const id = this.#trie.pieceAt(node);
      if (id >= 0) {
        found = id;
        end = at + 1;
      }
    }
    if (found >= 0) ids.push(found);
    return end;
  }
}
