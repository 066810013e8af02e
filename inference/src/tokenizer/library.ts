import { unknownSyntax } from '@heimdex/cache';
import * as hub from '@huggingface/tokenizers';
import { type JsonObject, objectAt, stringAt } from '../json.js';
import type { WordModel } from './word-model.js';

/** Byte-pair encoding: words to pieces. */
interface HubPairs {
  (words: readonly string[]): readonly string[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id: number | undefined;
}

/** The used part of the library; its declarations do not resolve under NodeNext. */
interface HubLibrary {
  readonly BPE: new (config: JsonObject) => HubPairs;
  readonly SplitPreTokenizer: new (config: JsonObject) => { readonly pattern: RegExp | null };
  readonly ByteLevelPreTokenizer: new (config: JsonObject) => { pre_tokenize_text(text: string): readonly string[] };
}

const library: HubLibrary = hub as unknown as HubLibrary;

/** The expression of a `pattern`. The library converts Oniguruma's expressions to JavaScript's. */
export function patternOf(config: JsonObject): RegExp {
  const unknown = unknownSyntax(objectAt(config, 'pattern').Regex);
  if (unknown.length > 0) throw new Error(`Expected an expression without ${unknown.join(', ')}`);
  const { pattern } = new library.SplitPreTokenizer(config);
  if (pattern === null) throw new Error(`Expected a pattern of String or Regex in tokenizer.json.`);
  // JavaScript finds the start and the end of a text within a surrogate pair too: where no character is before or behind.
  return new RegExp(`(?:(?=[^])|(?<=[^]))(?:${pattern.source})`, pattern.flags);
}

/** The matches of an expression as Rust's libraries find them: none without characters right behind another, which JavaScript finds too. */
export function* matchesOf(text: string, pattern: RegExp): Iterable<RegExpExecArray> {
  let end = -1;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === '' && match.index === end) continue;
    end = match.index + match[0].length;
    yield match;
  }
}

/** Writes words with a letter for each of their bytes in UTF-8, GPT-2's. */
export function createByteLetters(): (word: string) => string {
  const bytes = new library.ByteLevelPreTokenizer({ add_prefix_space: false, use_regex: false });
  return (word) => bytes.pre_tokenize_text(word).join('');
}

/** Tokens encoded beyond the limit: the tokens where a word is cut differ from those of the whole word. */
const SPARE_TOKENS = 32;
/** Characters per token read initially; quadrupled while they are too few. */
const CHARACTERS_PER_TOKEN = 8;
/** The same from a word's end: more, because pairs are merged from the start, and where those of a run like `----` begin shows at its end. */
const CHARACTERS_PER_LAST_TOKEN = 64;

/**
 * Byte-pair encoding. The library has no limit and takes seconds for a word of 100,000 characters, which a text without a pre-tokenizer
 * is: of a long word, only as much is encoded as the limit needs.
 */
export class BytePairModel implements WordModel {
  readonly #pairs: HubPairs;
  /** Whether characters without a token are left out of a word, so that those around them may be merged. */
  readonly #leavesOut: boolean;

  private constructor(pairs: HubPairs, config: JsonObject) {
    this.#pairs = pairs;
    this.#leavesOut =
      pairs.unk_token_id === undefined && config.byte_fallback !== true && !stringAt(config, 'end_of_word_suffix');
  }

  /** Reads `model` of tokenizer.json. Undefined for an unsupported kind. */
  static read(config: JsonObject): BytePairModel | undefined {
    // The library knows no prefix of pieces inside a word.
    if (stringAt(config, 'continuing_subword_prefix')) return undefined;
    return new BytePairModel(new library.BPE(config), config);
  }

  idsOf(word: string, limit: number, fromEnd = false): readonly number[] {
    const enough = limit + SPARE_TOKENS;
    const perToken = fromEnd ? CHARACTERS_PER_LAST_TOKEN : CHARACTERS_PER_TOKEN;
    for (let length = enough * perToken; length < word.length; length *= 4) {
      const ids = this.#allIds(fromEnd ? suffixOf(word, length) : prefixOf(word, length));
      if (ids.length >= enough) return ids;
    }
    return this.#allIds(word);
  }

  #allIds(word: string): readonly number[] {
    const { tokens_to_ids: ids, unk_token_id: unknown } = this.#pairs;
    // The library leaves them out after merging, as pieces of their own.
    const whole = this.#leavesOut
      ? Array.from(word)
          .filter((character) => ids.has(character))
          .join('')
      : word;
    return this.#pairs([whole]).flatMap((piece) => ids.get(piece) ?? unknown ?? []);
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
