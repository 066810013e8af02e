import * as hub from '@huggingface/tokenizers';
import type { JsonObject } from '../json.js';
import type { IdSource } from './id-source.js';

/** What is used of the library; its own declarations do not resolve under NodeNext. */
interface HubTokenizer {
  encode(text: string, options?: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
}

interface HubLibrary {
  readonly Tokenizer: new (json: JsonObject, config: JsonObject) => HubTokenizer;
  readonly ReplaceNormalizer: new (config: JsonObject) => { normalize(text: string): string };
}

const library: HubLibrary = hub as unknown as HubLibrary;

/** Replaces what an expression finds. The library turns the expressions, which are Oniguruma's, into JavaScript's. */
export function createReplacement(config: JsonObject): (text: string) => string {
  const normalizer = new library.ReplaceNormalizer(config);
  return (text) => normalizer.normalize(text);
}

/** Tokens that are read beyond those wanted: where a text is cut, the last ones are not those of the whole text. */
const SPARE_TOKENS = 32;
/** Characters a token that are read at first; where they are too few, four times as many are, and so on. */
const CHARACTERS_A_TOKEN = 8;

/**
 * A tokenizer of any kind that @huggingface/tokenizers knows, byte-pair encoding above all. Throws for others. The library has no
 * limit and takes seconds for a text of 100,000 characters, so of a long one only as much is read as the tokens wanted need.
 */
export function createLibrarySource(json: JsonObject, config: JsonObject): IdSource {
  const tokenizer = new library.Tokenizer(json, config);
  const allIds = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const idsOf = (text: string, limit: number): readonly number[] => {
    const enough = limit + SPARE_TOKENS;
    for (let length = enough * CHARACTERS_A_TOKEN; length < text.length; length *= 4) {
      const ids = allIds(beginning(text, length));
      if (ids.length >= enough) return ids;
    }
    return allIds(text);
  };
  const probe = 'a';
  const bare = allIds(probe);
  const whole = tokenizer.encode(probe).ids;
  const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
  if (start < 0) throw new Error('Expected a tokenizer that puts its special tokens around a text.');
  return { before: whole.slice(0, start), after: whole.slice(start + bare.length), idsOf };
}

/** The first `length` code units, or one less where a character would be halved. */
function beginning(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}
