import { type JsonObject, numberAt, objectsAt } from '../../json.js';

/** The parts of a tokenizer that the defaults are derived from. */
export interface KnownTokens {
  /** tokenizer.json. */
  readonly json: JsonObject;
  /** The id of a special token, by its text. */
  id(token: string): number | undefined;
  encode(text: string): readonly number[];
}

/** Of English-only models; that of multilingual ones is the next. Source: openai-whisper, tokenizer.py. */
const ENGLISH_START = 50_257;

/**
 * Derives the contents of generation_config.json for a repository that has none, or an old one: the tokens by their
 * names, and the suppressed tokens as in openai-whisper. Alignment heads default to all heads in the later half of the
 * decoder layers.
 *
 * Source: openai-whisper, model.py and tokenizer.py.
 */
export function generationDefaults(config: JsonObject, tokens: KnownTokens): JsonObject {
  const { id } = tokens;
  const endOfText = id('<|endoftext|>');
  const start = id('<|startoftranscript|>');
  // Computed on demand: most repositories are complete.
  return {
    decoder_start_token_id: start,
    eos_token_id: endOfText,
    ...(start === ENGLISH_START ? { is_multilingual: false } : {}),
    get lang_to_id() {
      return languagesOf(tokens.json);
    },
    task_to_id: { transcribe: id('<|transcribe|>'), translate: id('<|translate|>') },
    get suppress_tokens() {
      return nonSpeechTokens(tokens);
    },
    get begin_suppress_tokens() {
      return [tokens.encode(' ')[0], endOfText];
    },
    alignment_heads: laterHeads(
      numberAt(config, 'decoder_layers') ?? 0,
      numberAt(config, 'decoder_attention_heads') ?? 0,
    ),
  };
}

/** Special tokens named by a two- or three-letter code. No task token has such a name. */
function languagesOf(json: JsonObject): JsonObject {
  const added = objectsAt(json, 'added_tokens');
  const languages = added.filter(({ content }) => typeof content === 'string' && /^<\|[a-z]{2,3}\|>$/.test(content));
  return Object.fromEntries(languages.map(({ content, id }) => [String(content), id]));
}

const SYMBOLS = [
  ...'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
  ...'<< >> <<< >>> -- --- -( -[ (\' (" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪'.split(' '),
];
/** Where these encode to several tokens, the first is suppressed: it never occurs in speech. */
const MUSIC = [...'♩♪♫♬♭♮♯'];

/** Tokens of speaker tags and annotations. A hyphen or a quote may stand between words, but not before one. */
function nonSpeechTokens({ encode }: KnownTokens): readonly number[] {
  const found = new Set<number | undefined>([encode(' -')[0], encode(" '")[0]]);
  for (const symbol of [...SYMBOLS, ...MUSIC]) {
    for (const ids of [encode(symbol), encode(` ${symbol}`)]) {
      if (ids.length === 1 || MUSIC.includes(symbol)) found.add(ids[0]);
    }
  }
  return [...found].filter((token) => token !== undefined).sort((a, b) => a - b);
}

function laterHeads(layers: number, heads: number): readonly (readonly [number, number])[] {
  const first = Math.floor(layers / 2);
  return Array.from({ length: (layers - first) * heads }, (_, index) => [
    first + Math.floor(index / heads),
    index % heads,
  ]);
}
