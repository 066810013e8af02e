import { tokenIds } from '@heimdex/cache';
import { isObject, type JsonObject, objectAt, readJsonObject, stringAt } from '../json.js';
import { withLibraryIds } from './added-tokens.js';
import { truncatesLeft, withClassSettings } from './class-settings.js';
import { createExactSource } from './exact.js';
import { declaredTokens } from './slow/added-tokens.js';
import { readTokenizerJson } from './slow/read.js';

/** A tokenized text. */
export interface TokenizedText {
  /** Token ids with special tokens, without padding. */
  readonly ids: readonly number[];
  /** Whether the text was truncated. */
  readonly truncated: boolean;
}

/** Converts texts to token ids by the repository's tokenizer.json. */
export interface TextTokenizer {
  /** Padding id; undefined if the files have none. */
  readonly padId: number | undefined;
  /** Maximum tokens by tokenizer_config.json (`model_max_length`), including special tokens; Infinity if there is none. */
  readonly maxTokens: number;
  /**
   * Encodes a text to at most `limit` ids. A longer text is truncated but keeps its special tokens, as in transformers'
   * `truncation=True`.
   */
  encode(text: string, limit: number): TokenizedText;
}

/** A larger `model_max_length` means "no limit" (transformers writes 1e30). */
const MAX_LIMIT = 1e9;
/** Maximum characters read; far more than the limit of any known model, 8192 tokens, needs. */
export const MAX_CHARACTERS = 262_144;

/** What a model asks of its tokenizer in addition to the tokenizer's own files. */
export interface TokenizerOptions {
  /** Settings that replace those of tokenizer_config.json. */
  readonly settings?: JsonObject;
  /** The class of a tokenizer of which tokenizer_config.json names none. */
  readonly tokenizerClass?: string | undefined;
  /** Lowers texts, but not special tokens in them, unless the normalizer does so. */
  readonly lowerCase?: boolean;
}

/**
 * Loads tokenizer.json in a directory, or the older files that replace it, and, if given, tokenizer_config.json. Throws if a file is invalid or of
 * an unsupported kind.
 */
export async function loadTokenizer(
  dir: string,
  configPath: string | undefined,
  { settings, tokenizerClass, ...options }: TokenizerOptions = {},
): Promise<TextTokenizer> {
  const own = configPath === undefined ? {} : await readJsonObject(configPath);
  const config = { ...own, tokenizer_class: own.tokenizer_class ?? tokenizerClass, ...settings };
  return createTokenizer(await readTokenizerJson(dir, config), config, options);
}

/** Creates a tokenizer from the contents of the files. */
export function createTokenizer(
  file: JsonObject,
  config: JsonObject,
  options: Pick<TokenizerOptions, 'lowerCase'> = {},
): TextTokenizer {
  const own = file.slow === true ? file : withLibraryIds(file, declaredTokens(config));
  const json = withClassSettings(own, config);
  const source = createExactSource(json, options.lowerCase === true && !lowersCase(json.normalizer));
  const limit = config.model_max_length;
  const keepsEnd = truncatesLeft(json, config);
  return {
    padId: padId(json, config),
    maxTokens: typeof limit === 'number' && limit > 0 && limit < MAX_LIMIT ? limit : Number.POSITIVE_INFINITY,
    encode(text, limit) {
      const maxIds = Math.max(0, limit - source.specialCount);
      const read = keepsEnd ? text.slice(-MAX_CHARACTERS) : text.slice(0, MAX_CHARACTERS);
      // As in a conversion to UTF-8: unpaired surrogates are replaced.
      const whole = read.toWellFormed();
      const ids = keepsEnd ? source.lastIdsOf(whole, maxIds) : source.idsOf(whole, maxIds);
      const kept = keepsEnd ? ids.slice(Math.max(0, ids.length - maxIds)) : ids.slice(0, maxIds);
      return {
        ids: source.withSpecialTokens(kept),
        truncated: kept.length < ids.length || read.length < text.length,
      };
    },
  };
}

/** As sentence-transformers tells it: by a part of its own. */
function lowersCase(normalizer: unknown): boolean {
  if (!isObject(normalizer)) return false;
  const { type, normalizers } = normalizer;
  return type === 'Lowercase' || (Array.isArray(normalizers) && normalizers.some((one) => one?.type === 'Lowercase'));
}

function padId(json: JsonObject, config: JsonObject): number | undefined {
  const token = config.pad_token;
  const name = isObject(token) ? stringAt(token, 'content') : token;
  if (typeof name === 'string') return idOfToken(json, name);
  const padding = objectAt(json, 'padding').pad_id;
  return typeof padding === 'number' ? padding : undefined;
}

function idOfToken(json: JsonObject, name: string): number | undefined {
  const id = tokenIds(json)(name);
  const { vocab } = objectAt(json, 'model');
  if (id !== undefined || !Array.isArray(vocab)) return id;
  const index = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === name);
  return index < 0 ? undefined : index;
}
