import * as hub from '@huggingface/tokenizers';
import { isObject, type JsonObject } from '../json.js';
import type { IdSource } from './id-source.js';
import { WORD_OR_SIGNS } from './unicode.js';

/** The used part of the library; its declarations do not resolve under NodeNext. */
interface HubTokenizer {
  encode(text: string, options?: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
}

interface HubLibrary {
  readonly Tokenizer: new (json: JsonObject, config: JsonObject) => HubTokenizer;
  readonly ReplaceNormalizer: new (config: JsonObject) => { normalize(text: string): string };
}

const library: HubLibrary = hub as unknown as HubLibrary;

/** Creates a regular expression replacement. The library converts Oniguruma expressions to JavaScript's. */
export function createReplacement(config: JsonObject): (text: string) => string {
  const normalizer = new library.ReplaceNormalizer(config);
  return (text) => normalizer.normalize(text);
}

/** Tokens encoded beyond the limit: the last tokens of a truncated text differ from those of the whole text. */
const SPARE_TOKENS = 32;
/** Characters per token read initially; quadrupled while they are too few. */
const CHARACTERS_PER_TOKEN = 8;

/**
 * Creates a tokenizer of any kind that @huggingface/tokenizers supports, mainly byte-pair encoding. Throws for others. The library
 * has no limit and takes seconds for a text of 100,000 characters: of a long text, only as much is encoded as the limit needs.
 */
export function createLibrarySource(json: JsonObject, config: JsonObject): IdSource {
  const tokenizer = new library.Tokenizer({ ...json, pre_tokenizer: withUnicodeWords(json.pre_tokenizer) }, config);
  const allIds = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const idsOf = (text: string, limit: number): readonly number[] => {
    const enough = limit + SPARE_TOKENS;
    for (let length = enough * CHARACTERS_PER_TOKEN; length < text.length; length *= 4) {
      const ids = allIds(prefixOf(text, length));
      if (ids.length >= enough) return ids;
    }
    return allIds(text);
  };
  const probe = 'a';
  const bare = allIds(probe);
  const whole = tokenizer.encode(probe).ids;
  const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
  if (start < 0) throw new Error('Expected a tokenizer with its special tokens around the text.');
  return { before: whole.slice(0, start), after: whole.slice(start + bare.length), idsOf };
}

/** The library's `Whitespace` takes only ASCII letters and digits for words; the same as a split by the expression of Python's. */
function withUnicodeWords(config: unknown): unknown {
  if (!isObject(config)) return config;
  if (Array.isArray(config.pretokenizers))
    return { ...config, pretokenizers: config.pretokenizers.map((part) => withUnicodeWords(part)) };
  if (config.type !== 'Whitespace') return config;
  return { type: 'Split', pattern: { Regex: WORD_OR_SIGNS }, behavior: 'Removed', invert: true };
}

/** Returns the first `length` code units, or one less to keep a surrogate pair together. */
function prefixOf(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}
