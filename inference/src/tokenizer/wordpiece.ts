import { isObject, type JsonObject, numberAt, stringAt } from '../json.js';
import { PieceTrie } from './piece-trie.js';
import type { WordModel } from './word-model.js';

const DEFAULT_MAX_CHARACTERS = 100;

/** Splits a word greedily into the longest pieces; a word that cannot be split is unknown as a whole. Method: BERT's. */
export class WordPieceModel implements WordModel {
  readonly #trie = new PieceTrie();
  /** The trie node at which continuation pieces begin; undefined without any. */
  readonly #continuation: number | undefined;

  private constructor(
    vocabulary: JsonObject,
    prefix: string,
    private readonly unknown: number,
    private readonly maxCharacters: number,
  ) {
    for (const [piece, id] of Object.entries(vocabulary))
      if (piece !== '' && typeof id === 'number') this.#trie.add(piece, id);
    const continuation = this.#trie.find(prefix);
    this.#continuation = continuation === 0 && prefix !== '' ? undefined : continuation;
  }

  /** Reads `model` of tokenizer.json. Undefined for an unsupported kind. */
  static read(config: JsonObject): WordPieceModel | undefined {
    const { vocab } = config;
    const unknown = isObject(vocab) ? vocab[stringAt(config, 'unk_token') ?? '[UNK]'] : undefined;
    if (!isObject(vocab) || typeof unknown !== 'number') return undefined;
    const prefix = stringAt(config, 'continuing_subword_prefix') ?? '##';
    return new WordPieceModel(
      vocab,
      prefix,
      unknown,
      numberAt(config, 'max_input_chars_per_word') ?? DEFAULT_MAX_CHARACTERS,
    );
  }

  idsOf(word: string): number[] {
    if (word.length > this.maxCharacters && [...word].length > this.maxCharacters) return [this.unknown];
    const ids: number[] = [];
    let start = 0;
    while (start < word.length) {
      const end = this.#longestPiece(word, start, ids);
      if (end === start) return [this.unknown];
      start = end;
    }
    return ids;
  }

  /** Appends the longest piece at `start` to `ids` and returns its end; `start` if there is none. */
  #longestPiece(word: string, start: number, ids: number[]): number {
    let node = start === 0 ? 0 : this.#continuation;
    if (node === undefined) return start;
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
