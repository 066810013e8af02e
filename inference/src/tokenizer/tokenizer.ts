import { Tokenizer } from '@huggingface/tokenizers';
import { isObject, type JsonObject, objectAt, readJsonObject, stringAt } from '../models/repository.js';

/** A text as a model reads it. */
export interface TokenizedText {
  /** Special tokens included, padding not. */
  readonly ids: readonly number[];
  /** Whether the text was longer and its end is missing. */
  readonly truncated: boolean;
}

/** Turns texts into token ids as the repository's own tokenizer.json says. */
export interface TextTokenizer {
  /** What a text is padded with; undefined where the files name nothing. */
  readonly padId: number | undefined;
  /** The longest text by tokenizer_config.json (`model_max_length`), special tokens included; Infinity where it gives none. */
  readonly maxTokens: number;
  /** At most `limit` ids. A longer text loses its end, never its special tokens, as in transformers' `truncation=True`. */
  encode(text: string, limit: number): TokenizedText;
}

/** What is used of the library's class; its own declarations do not resolve under NodeNext. */
interface HubTokenizer {
  encode(text: string, options?: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
  token_to_id(token: string): number | undefined;
}

/** Above this `model_max_length` is a stand-in for "no limit" (transformers writes 1e30). */
const LARGEST_LIMIT = 1e9;

/** More characters a token than any vocabulary has on average: what is behind so many cannot be among the first tokens. */
const MOST_CHARACTERS_PER_TOKEN = 64;
/** The library's recursion overflows the stack above some 300,000 characters, and takes seconds before. */
const MOST_CHARACTERS = 200_000;

/** Loads tokenizer.json and, where there is one, tokenizer_config.json. Throws when a file is broken or of an unknown kind. */
export async function loadTokenizer(tokenizerPath: string, configPath: string | undefined): Promise<TextTokenizer> {
  const json = await readJsonObject(tokenizerPath);
  const config = configPath === undefined ? {} : await readJsonObject(configPath);
  const tokenizer: HubTokenizer = new Tokenizer(json, config);
  const specials = specialTokens(tokenizer);
  const limit = config.model_max_length;
  return {
    padId: padId(tokenizer, json, config),
    maxTokens: typeof limit === 'number' && limit > 0 && limit < LARGEST_LIMIT ? limit : Number.POSITIVE_INFINITY,
    encode(text, limit) {
      const kept = text.slice(0, Math.min(limit * MOST_CHARACTERS_PER_TOKEN, MOST_CHARACTERS));
      const ids = tokenizer.encode(kept, { add_special_tokens: false }).ids;
      const room = Math.max(0, limit - specials.before.length - specials.after.length);
      return {
        ids: [...specials.before, ...ids.slice(0, room), ...specials.after],
        truncated: ids.length > room || kept.length < text.length,
      };
    },
  };
}

/** What the tokenizer puts around a text. */
function specialTokens(tokenizer: HubTokenizer): {
  readonly before: readonly number[];
  readonly after: readonly number[];
} {
  const probe = 'a';
  const bare = tokenizer.encode(probe, { add_special_tokens: false }).ids;
  const whole = tokenizer.encode(probe).ids;
  const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
  if (start < 0) throw new Error('Expected a tokenizer that puts its special tokens around a text.');
  return { before: whole.slice(0, start), after: whole.slice(start + bare.length) };
}

function padId(tokenizer: HubTokenizer, json: JsonObject, config: JsonObject): number | undefined {
  const token = config.pad_token;
  const name = isObject(token) ? stringAt(token, 'content') : token;
  if (typeof name === 'string') return tokenizer.token_to_id(name);
  const padding = objectAt(json, 'padding').pad_id;
  return typeof padding === 'number' ? padding : undefined;
}
