import { isObject, type JsonObject, stringAt } from '../json.js';
import { PUNCTUATION, WORD_OR_SIGNS } from './unicode.js';

/** Splits a section of a text into words; `first`: the section begins the text. */
export type PreTokenizer = (text: string, first: boolean) => Iterable<string>;

/** Creates the pre-tokenizer of a tokenizer.json. Undefined for an unsupported kind. */
export function createPreTokenizer(config: unknown): PreTokenizer | undefined {
  if (!isObject(config)) return undefined;
  return FACTORIES[stringAt(config, 'type') ?? '']?.(config);
}

const FACTORIES: Readonly<Record<string, (config: JsonObject) => PreTokenizer | undefined>> = {
  BertPreTokenizer: () => matches(BERT_WORDS),
  WhitespaceSplit: () => matches(/\P{White_Space}+/gu),
  Whitespace: () => matches(new RegExp(WORD_OR_SIGNS, 'gu')),
  Punctuation: ({ behavior = 'Isolated' }) => (behavior === 'Isolated' ? matches(PUNCTUATIONS) : undefined),
  Digits: ({ individual_digits: each }) => matches(each === true ? DIGITS : NUMBERS),
  Metaspace: metaspace,
  Sequence: sequence,
};

const BERT_WORDS = new RegExp(`${PUNCTUATION}|(?:(?!${PUNCTUATION})\\P{White_Space})+`, 'gu');
const PUNCTUATIONS = new RegExp(`${PUNCTUATION}|(?:(?!${PUNCTUATION}).)+`, 'gsu');
const DIGITS = /\p{N}|\P{N}+/gu;
const NUMBERS = /\p{N}+|\P{N}+/gu;

/** Yields every match. */
function matches(pattern: RegExp): PreTokenizer {
  return function* (text) {
    for (const [part] of text.matchAll(pattern)) yield part;
  };
}

/** Replaces spaces by a marker, usually `▁`, and splits before each. */
function metaspace(config: JsonObject): PreTokenizer {
  const mark = stringAt(config, 'replacement') ?? '\u2581';
  const scheme = stringAt(config, 'prepend_scheme') ?? (config.add_prefix_space === false ? 'never' : 'always');
  const split = config.split !== false;
  return function* (text, first) {
    const prepend = scheme === 'always' || (scheme === 'first' && first);
    const marked = text.replaceAll(' ', mark);
    const whole = prepend && !marked.startsWith(mark) ? mark + marked : marked;
    if (!split) {
      if (whole !== '') yield whole;
      return;
    }
    let start = 0;
    while (start < whole.length) {
      const next = whole.indexOf(mark, start + 1);
      const end = next < 0 ? whole.length : next;
      yield whole.slice(start, end);
      start = end;
    }
  };
}

function sequence(config: JsonObject): PreTokenizer | undefined {
  if (!Array.isArray(config.pretokenizers)) return undefined;
  let whole: PreTokenizer | undefined;
  for (const part of config.pretokenizers) {
    const next = createPreTokenizer(part);
    if (next === undefined) return undefined;
    whole = whole === undefined ? next : chain(whole, next);
  }
  return whole;
}

function chain(outer: PreTokenizer, inner: PreTokenizer): PreTokenizer {
  return function* (text, first) {
    let begins = first;
    for (const part of outer(text, first)) {
      yield* inner(part, begins);
      begins = false;
    }
  };
}
