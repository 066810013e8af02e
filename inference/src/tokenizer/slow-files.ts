/** Makes a tokenizer.json of the files that Python's slow tokenizers save, for repositories without it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject, type JsonObject, objectAt, readJsonObject, readOptionalObject, stringAt } from '../json.js';
import { readSentencePiece, type SentencePieceModel, siglipJson } from './sentencepiece.js';

/**
 * Reads tokenizer.json, or what stands in for it: vocab.txt (BERT), spiece.model (SigLIP), or vocab.json and merges.txt with
 * added_tokens.json (Whisper). Throws an error that names tokenizer.json if there is none.
 */
export async function readTokenizerJson(dir: string, settings: JsonObject): Promise<JsonObject> {
  const json = await readIfThere(join(dir, 'tokenizer.json'), readJsonObject);
  if (json !== undefined) return json;
  const kind = stringAt(settings, 'tokenizer_class') ?? '';
  if (
    !['', 'BertTokenizer', 'DistilBertTokenizer', 'SiglipTokenizer', 'WhisperTokenizer'].includes(
      kind.replace(/Fast$/, ''),
    )
  ) {
    // Others split words in ways of their own, such as BertJapaneseTokenizer.
    throw new Error(`Expected ${dir} to have a tokenizer.json, since its tokenizer is a ${kind}.`);
  }
  const words = await readIfThere(join(dir, 'vocab.txt'), readLines);
  if (words !== undefined) return wordPieceJson(words, settings);
  const pieces = await readIfThere(join(dir, 'spiece.model'), (path) => readFile(path));
  if (pieces !== undefined) return spieceJson(readSentencePiece(pieces, join(dir, 'spiece.model')), settings);
  const merges = await readIfThere(join(dir, 'merges.txt'), readLines);
  if (merges === undefined) throw new Error(`Expected ${dir} to have a tokenizer.json.`);
  const vocabulary = await readJsonObject(join(dir, 'vocab.json'));
  return byteLevelJson(vocabulary, merges, await readOptionalObject(join(dir, 'added_tokens.json')), settings);
}

async function readIfThere<Value>(path: string, read: (path: string) => Promise<Value>): Promise<Value | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (isObject(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readLines(path: string): Promise<readonly string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/\r$/, ''));
}

/**
 * BERT's tokenizer: a line of vocab.txt is a token, its number the id. Settings are those of tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (BertConverter) and models/bert.
 */
export function wordPieceJson(words: readonly string[], settings: JsonObject): JsonObject {
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const named = (key: string, byDefault: string) => tokenAt(settings, key) ?? byDefault;
  const [unknown, before, after] = [
    named('unk_token', '[UNK]'),
    named('cls_token', '[CLS]'),
    named('sep_token', '[SEP]'),
  ];
  const special = [named('pad_token', '[PAD]'), unknown, before, after, named('mask_token', '[MASK]')];
  const missing = [unknown, before, after].filter((token) => vocab[token] === undefined);
  if (missing.length > 0) throw new Error(`Expected vocab.txt to have ${missing.join(' and ')}.`);
  const added = new Map(
    special.flatMap((token) => (vocab[token] === undefined ? [] : [[token, vocab[token]] as const])),
  );
  const lowerCase = settings.do_lower_case !== false;
  return {
    added_tokens: [...addedTokens(added), ...declaredTokens(settings, added)],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: settings.tokenize_chinese_chars !== false,
      strip_accents: typeof settings.strip_accents === 'boolean' ? settings.strip_accents : null,
      lowercase: lowerCase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: aroundText(before, after, vocab),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** SigLIP's tokenizer: its special tokens are pieces, unless tokenizer_config.json declares them. */
function spieceJson(model: SentencePieceModel, settings: JsonObject): JsonObject {
  const ids = new Map(model.pieces.map(([piece], id) => [piece, id]));
  const named = (key: string, byDefault: string) => tokenAt(settings, key) ?? byDefault;
  const end = named('eos_token', '</s>');
  const special = [named('pad_token', '<pad>'), end, named('unk_token', '<unk>')];
  const known = new Map(special.flatMap((token) => (ids.has(token) ? [[token, ids.get(token) ?? 0] as const] : [])));
  const declared = declaredTokens(settings, new Map());
  return siglipJson(model, end, declared.length > 0 ? declared : addedTokens(known), settings.do_lower_case !== false);
}

/**
 * Whisper's tokenizer: byte-level BPE. Special tokens are those of added_tokens.json or of `added_tokens_decoder` in tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (WhisperConverter).
 */
export function byteLevelJson(
  vocab: JsonObject,
  merges: readonly string[],
  added: JsonObject,
  settings: JsonObject,
): JsonObject {
  const ids = new Map(
    [...Object.entries(vocab), ...Object.entries(added)].flatMap(([token, id]) =>
      typeof id === 'number' && (token in added || SPECIAL.test(token)) ? [[token, id] as const] : [],
    ),
  );
  return {
    added_tokens: [...addedTokens(ids), ...declaredTokens(settings, ids)].sort((one, other) => one.id - other.id),
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: settings.add_prefix_space === true,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab,
      // The first line of merges.txt is a version.
      merges: merges.filter((line) => line !== '' && !line.startsWith('#version')),
    },
  };
}

const SPECIAL = /^<\|.*\|>$/;
/** Times are no special tokens: "<|0.00|>". */
const TIME = /^<\|\d+\.\d+\|>$/;

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

function addedTokens(ids: ReadonlyMap<string, number>): readonly AddedToken[] {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return [...ids].map(([content, id]) => ({ id, content, ...plain, special: !TIME.test(content) }));
}

/** Tokens that only `added_tokens_decoder` of tokenizer_config.json declares. */
function declaredTokens(settings: JsonObject, known: ReadonlyMap<string, number>): readonly AddedToken[] {
  return Object.entries(objectAt(settings, 'added_tokens_decoder')).flatMap(([id, token]) => {
    const content = isObject(token) ? stringAt(token, 'content') : undefined;
    if (!isObject(token) || content === undefined || known.has(content) || !/^\d+$/.test(id)) return [];
    const flag = (name: string) => token[name] === true;
    return [
      {
        id: Number(id),
        content,
        single_word: flag('single_word'),
        lstrip: flag('lstrip'),
        rstrip: flag('rstrip'),
        normalized: flag('normalized'),
        special: flag('special'),
      },
    ];
  });
}

/** A token's name in tokenizer_config.json: a string, or an object with its content. */
function tokenAt(settings: JsonObject, key: string): string | undefined {
  return stringAt(settings, key) ?? stringAt(objectAt(settings, key), 'content');
}

function aroundText(before: string, after: string, vocab: Readonly<Record<string, number>>): JsonObject {
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const special = [before, after].map((name) => [name, { id: name, ids: [vocab[name]], tokens: [name] }]);
  return {
    type: 'TemplateProcessing',
    single: [token(before), text('A'), token(after)],
    pair: [token(before), text('A'), token(after), text('B'), token(after)],
    special_tokens: Object.fromEntries(special),
  };
}
