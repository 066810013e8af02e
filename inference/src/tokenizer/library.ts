import * as hub from '@huggingface/tokenizers';
import type { JsonObject } from '../models/repository.js';
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

/** A tokenizer of any kind that @huggingface/tokenizers knows, byte-pair encoding above all. Throws for others. */
export function createLibrarySource(json: JsonObject, config: JsonObject): IdSource {
  const tokenizer = new library.Tokenizer(json, config);
  const idsOf = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const probe = 'a';
  const bare = idsOf(probe);
  const whole = tokenizer.encode(probe).ids;
  const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
  if (start < 0) throw new Error('Expected a tokenizer that puts its special tokens around a text.');
  return { before: whole.slice(0, start), after: whole.slice(start + bare.length), idsOf };
}
