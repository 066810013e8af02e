import { isObject, type JsonObject, objectAt, readJsonObject, stringAt } from '../json.js';
import { createExactSource } from './exact.js';
import { createLibrarySource } from './library.js';

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

/** Above this `model_max_length` is a stand-in for "no limit" (transformers writes 1e30). */
const LARGEST_LIMIT = 1e9;
/** More of a text is not looked at; the longest limit of any known model, 8192 tokens, ends far before. */
const LONGEST_TEXT = 262_144;

/** Loads tokenizer.json and, where there is one, tokenizer_config.json. Throws when a file is broken or of an unknown kind. */
export async function loadTokenizer(tokenizerPath: string, configPath: string | undefined): Promise<TextTokenizer> {
  const json = await readJsonObject(tokenizerPath);
  const config = configPath === undefined ? {} : await readJsonObject(configPath);
  return createTokenizer(json, config);
}

/** The same from what the files hold. */
export function createTokenizer(json: JsonObject, config: JsonObject): TextTokenizer {
  const source = createExactSource(json) ?? createLibrarySource(json, config);
  const limit = config.model_max_length;
  return {
    padId: padId(json, config),
    maxTokens: typeof limit === 'number' && limit > 0 && limit < LARGEST_LIMIT ? limit : Number.POSITIVE_INFINITY,
    encode(text, limit) {
      const room = Math.max(0, limit - source.before.length - source.after.length);
      const ids = source.idsOf(wellFormed(text.slice(0, LONGEST_TEXT)), room);
      return {
        ids: [...source.before, ...ids.slice(0, room), ...source.after],
        truncated: ids.length > room || text.length > LONGEST_TEXT,
      };
    },
  };
}

/** Halves of surrogate pairs are no characters; they are read as the replacement character, as UTF-8 would have them. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function padId(json: JsonObject, config: JsonObject): number | undefined {
  const token = config.pad_token;
  const name = isObject(token) ? stringAt(token, 'content') : token;
  if (typeof name === 'string') return idOfToken(json, name);
  const padding = objectAt(json, 'padding').pad_id;
  return typeof padding === 'number' ? padding : undefined;
}

function idOfToken(json: JsonObject, name: string): number | undefined {
  const added = Array.isArray(json.added_tokens) ? json.added_tokens.filter(isObject) : [];
  const id = added.find(({ content }) => content === name)?.id;
  if (typeof id === 'number') return id;
  const { vocab } = objectAt(json, 'model');
  if (Array.isArray(vocab)) {
    const place = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === name);
    return place < 0 ? undefined : place;
  }
  const known = isObject(vocab) ? vocab[name] : undefined;
  return typeof known === 'number' ? known : undefined;
}
