import type { JsonObject } from '../json.js';
import { PieceTrie } from './piece-trie.js';
import type { WordModel } from './word-model.js';

/** Score of an unknown character below the minimum score of all pieces. */
const UNKNOWN_PENALTY = 10;
const BYTE_PIECE = /^<0x([0-9A-F]{2})>$/;

/**
 * Splits a word into the pieces with the maximum total score (Viterbi). Method: Kudo, "Subword Regularization" (2018); ties and
 * the merging of unknown characters as in the tokenizers library.
 */
export class UnigramModel implements WordModel {
  readonly #trie = new PieceTrie();
  readonly #scores: Float64Array;
  readonly #unknownScore: number;
  /** The pieces that stand for the bytes of unknown characters, by byte; empty if none do. */
  readonly #bytes = new Map<number, number>();
  /** By position in the word: the best total score, and the start and id of the last piece. Reused between words. */
  #best = new Float64Array(64);
  #starts = new Int32Array(64);
  #pieces = new Int32Array(64);

  private constructor(
    vocabulary: readonly (readonly [string, number])[],
    private readonly unknown: number,
    byteFallback: boolean,
  ) {
    this.#scores = Float64Array.from(vocabulary, ([, score]) => score);
    this.#unknownScore = this.#scores.reduce((min, score) => Math.min(min, score), 0) - UNKNOWN_PENALTY;
    vocabulary.forEach(([piece], id) => {
      if (piece !== '') this.#trie.add(piece, id);
      const [, byte] = (byteFallback && BYTE_PIECE.exec(piece)) || [];
      if (byte !== undefined) this.#bytes.set(Number.parseInt(byte, 16), id);
    });
  }

  /** Reads `model` of tokenizer.json. Undefined for an unsupported kind. */
  static read(config: JsonObject): UnigramModel | undefined {
    const { vocab, unk_id: unknown, byte_fallback: bytes } = config;
    if (!Array.isArray(vocab) || typeof unknown !== 'number') return undefined;
    return new UnigramModel(vocab as (readonly [string, number])[], unknown, bytes === true);
  }

  idsOf(word: string): number[] {
    this.#findPath(word);
    const ids: number[] = [];
    let start: number;
    for (let end = word.length; end > 0; end = start) {
      const id = this.#pieces[end] as number;
      start = this.#starts[end] as number;
      if (id !== this.unknown) ids.push(id);
      else {
        // Adjacent unknown characters are merged.
        while (start > 0 && this.#pieces[start] === id) start = this.#starts[start] as number;
        for (const part of this.#unknownIds(word.slice(start, end)).reverse()) ids.push(part);
      }
    }
    return ids.reverse();
  }

  #unknownIds(text: string): number[] {
    // The text of the unknown piece is that piece.
    if (this.#bytes.size === 0 || this.#trie.pieceAt(this.#trie.find(text)) >= 0) return [this.unknown];
    const ids = [...Buffer.from(text)].flatMap((byte) => this.#bytes.get(byte) ?? []);
    return ids.length === Buffer.byteLength(text) ? ids : [this.unknown];
  }

  #findPath(word: string): void {
    this.#reserve(word.length + 1);
    this.#starts.fill(-1, 0, word.length + 1);
    let start = 0;
    this.#best[0] = 0;
    while (start < word.length) {
      const score = this.#best[start] as number;
      const single = (word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1;
      let known = false;
      let node = 0;
      for (let end = start + 1; end <= word.length; end += 1) {
        node = this.#trie.step(node, word.charCodeAt(end - 1));
        if (node === 0) break;
        const id = this.#trie.pieceAt(node);
        if (id < 0) continue;
        this.#offer(start, end, id, score + (this.#scores[id] as number));
        known ||= end - start === single;
      }
      if (!known) this.#offer(start, start + single, this.unknown, score + this.#unknownScore);
      start += single;
    }
  }

  #offer(start: number, end: number, id: number, sum: number): void {
    if (this.#starts[end] !== -1 && sum <= (this.#best[end] as number)) return;
    this.#best[end] = sum;
    this.#starts[end] = start;
    this.#pieces[end] = id;
  }

  #reserve(length: number): void {
    if (length <= this.#best.length) return;
    const size = 2 ** Math.ceil(Math.log2(length));
    this.#best = new Float64Array(size);
    this.#starts = new Int32Array(size);
    this.#pieces = new Int32Array(size);
  }
}
