import { join } from 'node:path';
import { tokenIds } from '@heimdex/cache';
import { type JsonObject, objectAt, objectsAt, readOptionalObject } from '../../json.js';
import {
  createTokenizer,
  type HubTokenizer,
  openLibrary,
  readTokenizerJson,
  type TextTokenizer,
} from '../../tokenizer/index.js';
import type { WhisperConfig } from './config.js';
import type { KnownTokens } from './generation-defaults.js';
import { isTimestamp } from './segments.js';
import { TokenTexts } from './token-texts.js';

/** Special tokens. */
export interface SpecialTokens {
  readonly startOfTranscript: number;
  readonly endOfText: number;
  readonly transcribe: number | undefined;
  readonly translate: number | undefined;
  readonly startOfPrevious: number;
  readonly noSpeech: number;
  readonly noTimestamps: number;
  /** The token of 0.00 s; each following token is 20 ms later. */
  readonly firstTimestamp: number;
}

/** What a token with an incomplete UTF-8 sequence decodes to. */
const PART_OF_LETTER = '\uFFFD';
/** Calls of different hotwords whose windows take turns. */
const MAX_ENCODED = 16;
const NO_WORD = /[^\p{L}\p{N}\p{M}\uFFFD']/gu;

/** Parsed tokenizer.json. */
export class WhisperTokenizer implements KnownTokens {
  #encoder: TextTokenizer | undefined;
  #ids: ((token: string) => number | undefined) | undefined;

  private constructor(
    readonly json: JsonObject,
    private readonly settings: JsonObject,
  ) {}

  /**
   * Reads tokenizer.json, or the older files that replace it, and, if present, tokenizer_config.json. Throws when a file is invalid or
   * tokenizer.json is missing.
   */
  static async open(dir: string): Promise<WhisperTokenizer> {
    const settings = await readOptionalObject(join(dir, 'tokenizer_config.json'));
    return new WhisperTokenizer(await readTokenizerJson(dir, settings), settings);
  }

  static unpack(packed: Buffer): WhisperTokenizer {
    const [json, settings] = JSON.parse(packed.toString());
    return new WhisperTokenizer(json, settings);
  }

  /** As bytes outside of V8's heap, a tenth of the objects. */
  pack(): Buffer {
    return Buffer.from(JSON.stringify([this.json, this.settings]));
  }

  /** Decodes what is not byte-level BPE. */
  openLibrary(): HubTokenizer {
    return openLibrary(this.json, this.settings);
  }

  get id(): (token: string) => number | undefined {
    this.#ids ??= tokenIds(this.json);
    return this.#ids;
  }

  /** A text unchanged, without special tokens. */
  readonly encode = (text: string, limit = Number.POSITIVE_INFINITY): readonly number[] => {
    this.#encoder ??= createTokenizer({ ...this.json, post_processor: null }, {});
    return this.#encoder.encode(text, limit).ids;
  };
}

/** Converts text to tokens and back with the repository's tokenizer.json. */
export class Vocabulary {
  readonly #decode: (tokens: readonly number[]) => string;
  /** Few callers give a text before the first window, or hotwords. */
  readonly #packed: Buffer;
  #encoder: WhisperTokenizer | undefined;
  /** Hotwords come with every window of a call. */
  readonly #encoded = new Map<string, readonly number[]>();
  readonly #plainWords = new Map<number, string>();
  /** Words that a fine-tune has added. */
  readonly #added: ReadonlySet<number>;
  readonly special: SpecialTokens;

  constructor(tokenizer: WhisperTokenizer, config: WhisperConfig) {
    this.#packed = tokenizer.pack();
    this.#decode = decoderOf(tokenizer);
    const id = (...names: readonly string[]) =>
      names.map((name) => tokenizer.id(`<|${name}|>`)).find((found) => found !== undefined);
    const noTimestamps = config.noTimestamps ?? id('notimestamps');
    if (noTimestamps === undefined) throw new Error('Expected a Whisper tokenizer with <|notimestamps|>, got none.');
    this.special = {
      startOfTranscript: config.startOfTranscript,
      endOfText: config.endOfText,
      transcribe: config.tasks.transcribe ?? id('transcribe'),
      translate: config.tasks.translate ?? id('translate'),
      // All Whisper models have these two tokens just before <|notimestamps|>; only their names vary.
      startOfPrevious: config.startOfPrevious ?? id('startofprev') ?? noTimestamps - 2,
      noSpeech: id('nospeech', 'nocaptions') ?? noTimestamps - 1,
      noTimestamps,
      firstTimestamp: noTimestamps + 1,
    };
    assertKnown(this.special, config);
    this.#added = addedWords(tokenizer.json, this.special);
  }

  /** The first tokens of a text unchanged, without special tokens; by default all. */
  encode(text: string, limit?: number): readonly number[] {
    const key = `${limit} ${text}`;
    const known = this.#encoded.get(key);
    if (known !== undefined) return known;
    this.#encoder ??= WhisperTokenizer.unpack(this.#packed);
    const tokens = this.#encoder.encode(text, limit);
    const [oldest] = this.#encoded.keys();
    if (this.#encoded.size >= MAX_ENCODED && oldest !== undefined) this.#encoded.delete(oldest);
    this.#encoded.set(key, tokens);
    return tokens;
  }

  /** Decodes tokens to text, without special tokens and timestamps. */
  decode(tokens: readonly number[]): string {
    const text = tokens.filter((token) => this.isText(token));
    if (text.length === 0) return '';
    return this.#decode(text);
  }

  /**
   * The text a token adds, without case and punctuation: empty for a comma, a timestamp or a space. Incomplete UTF-8
   * sequences, which are common in some scripts, count as themselves.
   */
  plainWord(token: number): string {
    let word = this.#plainWords.get(token);
    if (word === undefined) {
      word = this.decode([token]).toLowerCase().replace(NO_WORD, '');
      if (word.includes(PART_OF_LETTER)) word = `${PART_OF_LETTER}${token}`;
      this.#plainWords.set(token, word);
    }
    return word;
  }

  isText(token: number): boolean {
    return token < this.special.endOfText || this.#added.has(token);
  }
}

/** The generation_config.json of another Whisper has other tokens: some would never be sampled, and no speech would be found. */
function assertKnown(special: SpecialTokens, { languages, vocabularySize = Number.POSITIVE_INFINITY }: WhisperConfig) {
  for (const [name, token = 0] of [...Object.entries(special), ...languages]) {
    if (token < vocabularySize) continue;
    throw new Error(
      `Expected the model's tokens to be below ${vocabularySize}, vocab_size of its config.json, got ${token} for ${name}. ` +
        'Replace its generation_config.json, which seems to be that of another Whisper.',
    );
  }
}

/** Tokens behind the words of a vocabulary that are neither special nor timestamps. */
function addedWords(json: JsonObject, { endOfText, firstTimestamp }: SpecialTokens): ReadonlySet<number> {
  const words = new Map<number, boolean>();
  const add = (id: unknown, content: unknown, special: boolean) => {
    if (typeof id !== 'number' || id <= endOfText) return;
    words.set(id, !special && !isTimestamp(id, firstTimestamp) && !SPECIAL.test(String(content)));
  };
  for (const [content, id] of Object.entries(objectAt(objectAt(json, 'model'), 'vocab'))) add(id, content, false);
  for (const { id, content, special } of objectsAt(json, 'added_tokens')) add(id, content, special === true);
  return new Set([...words].flatMap(([id, isWord]) => (isWord ? [id] : [])));
}

/** The form of Whisper's own special tokens. */
const SPECIAL = /^<\|.*\|>$/;

function decoderOf(tokenizer: WhisperTokenizer): (tokens: readonly number[]) => string {
  const texts = TokenTexts.read(tokenizer.json);
  if (texts !== undefined) return (tokens) => texts.decode(tokens);
  const library = tokenizer.openLibrary();
  return (tokens) => library.decode(tokens, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
}
