import { unknownSyntax } from '@heimdex/cache';
import * as hub from '@huggingface/tokenizers';
import { type JsonObject, objectAt } from '../json.js';

/** The used part of the library; its declarations do not resolve under NodeNext. */
interface HubLibrary {
  readonly Tokenizer: new (json: JsonObject, settings: JsonObject) => HubTokenizer;
  readonly SplitPreTokenizer: new (config: JsonObject) => { readonly pattern: RegExp | null };
  readonly ByteLevelPreTokenizer: new (config: JsonObject) => { pre_tokenize_text(text: string): readonly string[] };
}

export interface HubTokenizer {
  decode(
    ids: readonly number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces?: boolean },
  ): string;
}

const library: HubLibrary = hub as unknown as HubLibrary;

/** The library's own tokenizer, which decodes tokens of every kind. It refuses an empty list. */
export function openLibrary(json: JsonObject, settings: JsonObject): HubTokenizer {
  return new library.Tokenizer(json, settings);
}

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
