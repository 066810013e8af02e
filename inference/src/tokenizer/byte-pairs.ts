import { isObject, type JsonObject, stringAt } from '../json.js';
import type { WordModel } from './word-model.js';

/** Tokens encoded beyond the limit: the tokens where a word is cut differ from those of the whole word. */
const SPARE_TOKENS = 32;
/** Characters per token read initially; quadrupled while they are too few. */
const CHARACTERS_PER_TOKEN = 8;
/** The same from a word's end: more, because pairs are merged from the start, and where those of a run like `----` begin shows at its end. */
const CHARACTERS_PER_LAST_TOKEN = 64;

/**
 * Byte-pair encoding, with the order of tokens of the tokenizers library. Of a long word, which a text without a pre-tokenizer is, only as
 * much is encoded as the limit needs.
 */
export class BytePairModel implements WordModel {
  /** By pair: its position among the merges. */
  readonly #ranks = new Map<number, number>();
  /** Multiplier of the first id of a pair in the keys of `#ranks`. */
  readonly #base: number;
  /** By rank: the token that the pair becomes. */
  readonly #merged: number[] = [];
  /** Of characters inside of a word, and of the last one. */
  readonly #prefix: string;
  readonly #suffix: string;
  /** Of a character without a token; without it, the character is left out. */
  readonly #unknown: number | undefined;
  readonly #fuses: boolean;
  /** Whether a word that is a token is that token, whatever the merges. */
  readonly #takesWords: boolean;
  /** The tokens of bytes; empty if characters without a token do not become bytes. */
  readonly #bytes: readonly (number | undefined)[];

  private constructor(
    private readonly ids: ReadonlyMap<string, number>,
    merges: readonly unknown[],
    config: JsonObject,
  ) {
    this.#prefix = stringAt(config, 'continuing_subword_prefix') ?? '';
    this.#suffix = stringAt(config, 'end_of_word_suffix') ?? '';
    this.#unknown = ids.get(stringAt(config, 'unk_token') ?? '');
    this.#fuses = config.fuse_unk === true;
    this.#takesWords = config.ignore_merges === true;
    this.#bytes = Array.from({ length: config.byte_fallback === true ? 256 : 0 }, (_, byte) =>
      ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    let base = 0;
    for (const id of ids.values()) base = Math.max(base, id + 1);
    this.#base = base;
    merges.forEach((merge, rank) => {
      const [left, right, ...more] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
      if (typeof left !== 'string' || typeof right !== 'string' || more.length > 0)
        throw new Error(`Expected merges of two pieces, got ${JSON.stringify(merge)}`);
      const [first, second] = [ids.get(left), ids.get(right)];
      const merged = ids.get(left + right.slice(this.#prefix.length));
      this.#merged.push(merged ?? 0);
      if (first !== undefined && second !== undefined && merged !== undefined)
        this.#ranks.set(first * base + second, rank);
    });
  }

  /** Reads `model` of tokenizer.json. Undefined for an unsupported kind. */
  static read(config: JsonObject): BytePairModel | undefined {
    const { vocab, merges } = config;
    if (!isObject(vocab) || !Array.isArray(merges)) return undefined;
    const ids = Object.entries(vocab).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    return new BytePairModel(new Map(ids), merges.filter(isNoVersion), config);
  }

  idsOf(word: string, limit: number, fromEnd = false): readonly number[] {
    const whole = this.#takesWords ? this.ids.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const enough = limit + SPARE_TOKENS;
    const perToken = fromEnd ? CHARACTERS_PER_LAST_TOKEN : CHARACTERS_PER_TOKEN;
    for (let length = enough * perToken; length < word.length; length *= 4) {
      const ids = this.#merge(this.#tokensOf(fromEnd ? suffixOf(word, length) : prefixOf(word, length)));
      if (ids.length >= enough) return ids;
    }
    return this.#merge(this.#tokensOf(word));
  }

  /** The tokens of a word's characters. */
  #tokensOf(word: string): readonly number[] {
    const tokens: number[] = [];
    const characters = Array.from(word);
    // The library adds an unknown token in front of the next token of a character, but behind those of bytes.
    let unknown: number | undefined;
    const addUnknown = () => {
      if (unknown !== undefined) tokens.push(unknown);
      unknown = undefined;
    };
    characters.forEach((character, at) => {
      const piece = (at > 0 ? this.#prefix : '') + character + (at === characters.length - 1 ? this.#suffix : '');
      const id = this.ids.get(piece);
      const bytes = id === undefined ? this.#bytesOf(piece) : undefined;
      if (bytes !== undefined) tokens.push(...bytes);
      else {
        if (id !== undefined || !this.#fuses) addUnknown();
        if (id !== undefined) tokens.push(id);
        else unknown = this.#unknown;
      }
    });
    addUnknown();
    return tokens;
  }

  /** Undefined if a byte has no token. */
  #bytesOf(piece: string): readonly number[] | undefined {
    if (this.#bytes.length === 0) return undefined;
    const all = Array.from(Buffer.from(piece), (byte) => this.#bytes[byte]);
    return all.every((id) => id !== undefined) ? all : undefined;
  }

  /** Merges pairs, those of the lowest rank first, the leftmost of equal ones. */
  #merge(tokens: readonly number[]): readonly number[] {
    const { length } = tokens;
    const ids: (number | undefined)[] = [...tokens];
    // The end is its own next.
    const next = Uint32Array.from({ length: length + 1 }, (_, at) => Math.min(at + 1, length));
    const previous = Int32Array.from({ length: length + 1 }, (_, at) => at - 1);
    const queue = new Queue();
    const rankAt = (at: number): number | undefined => {
      const [left, right] = [ids[at], ids[next[at] ?? length]];
      return left === undefined || right === undefined ? undefined : this.#ranks.get(left * this.#base + right);
    };
    const add = (at: number) => {
      const rank = rankAt(at);
      if (rank !== undefined) queue.add(rank * length + at);
    };
    for (let at = 0; at < length; at += 1) add(at);
    for (let key = queue.take(); key !== undefined; key = queue.take()) {
      const at = key % length;
      const rank = Math.floor(key / length);
      // Else one of the pair has been merged with another one since.
      if (rankAt(at) !== rank) continue;
      const right = next[at] as number;
      const behind = next[right] as number;
      ids[at] = this.#merged[rank];
      ids[right] = undefined;
      next[at] = behind;
      previous[behind] = at;
      if (at > 0) add(previous[at] as number);
      add(at);
    }
    return ids.filter((id) => id !== undefined);
  }
}

/** Old files begin with the first line of merges.txt. */
function isNoVersion(merge: unknown): boolean {
  return typeof merge !== 'string' || !merge.startsWith('#version');
}

/** A binary heap: the lowest number first. */
class Queue {
  readonly #keys: number[] = [];

  add(key: number): void {
    const keys = this.#keys;
    let at = keys.length;
    for (let parent = (at - 1) >> 1; at > 0 && key < (keys[parent] as number); parent = (at - 1) >> 1) {
      keys[at] = keys[parent] as number;
      at = parent;
    }
    keys[at] = key;
  }

  take(): number | undefined {
    const keys = this.#keys;
    const first = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return first;
    let at = 0;
    for (let child = 1; child < keys.length; child = 2 * at + 1) {
      if (child + 1 < keys.length && (keys[child + 1] as number) < (keys[child] as number)) child += 1;
      if (last <= (keys[child] as number)) break;
      keys[at] = keys[child] as number;
      at = child;
    }
    keys[at] = last;
    return first;
  }
}

/** Returns the first `length` code units, or one less to keep a surrogate pair together. */
function prefixOf(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

/** Returns the last `length` code units, or one less to keep a surrogate pair together. */
function suffixOf(text: string, length: number): string {
  const first = text.charCodeAt(text.length - length);
  return text.slice(first >= 0xdc00 && first < 0xe000 ? 1 - length : -length);
}
