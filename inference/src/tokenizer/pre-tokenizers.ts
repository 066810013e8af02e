import { rewritingBeforeStart, type TokenizerComponent } from '@heimdex/cache';
import { isObject, type JsonObject, numberAt, stringAt } from '../json.js';
import { createByteLetters, matchesOf, patternOf } from './library.js';
import { PUNCTUATION, WORD_OR_SIGNS } from './unicode.js';

/** Splits a section of a text into words; `first`: the section begins the text. */
export type PreTokenizer = (text: string, first: boolean) => Iterable<string>;

/** Creates the pre-tokenizer of a tokenizer.json. Undefined for an unsupported kind. */
export function createPreTokenizer(config: unknown): PreTokenizer | undefined {
  if (config === null || config === undefined) return (text) => [text];
  if (!isObject(config)) return undefined;
  const factories: Readonly<Partial<Record<string, Factory>>> = FACTORIES;
  return factories[stringAt(config, 'type') ?? '']?.(config);
}

type Factory = (config: JsonObject) => PreTokenizer | undefined;

const FACTORIES: Readonly<Record<TokenizerComponent<'pre_tokenizer'>, Factory>> = {
  BertPreTokenizer: () => matches(BERT_WORDS),
  WhitespaceSplit: () => matches(/\P{White_Space}+/gu),
  Whitespace: () => matches(new RegExp(WORD_OR_SIGNS, 'gu')),
  Punctuation: ({ behavior = 'Isolated' }) => split(new RegExp(PUNCTUATION, 'gu'), behavior),
  Digits: ({ individual_digits: each }) => matches(each === true ? DIGITS : NUMBERS),
  Split: (config) => split(patternOf(config), config.behavior, config.invert === true),
  CharDelimiterSplit: ({ delimiter }) => split(patternOf({ pattern: { String: String(delimiter) } }), 'Removed'),
  FixedLength: (config) => matches(new RegExp(`.{1,${numberAt(config, 'length') ?? 5}}`, 'gsu')),
  Metaspace: metaspace,
  ByteLevel: byteLevel,
  Sequence: sequence,
};

const BERT_WORDS = new RegExp(`${PUNCTUATION}|(?:(?!${PUNCTUATION})\\P{White_Space})+`, 'gu');
const DIGITS = /\p{N}|\P{N}+/gu;
const NUMBERS = /\p{N}+|\P{N}+/gu;
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?(?:(?![\p{L}\p{N}])\P{White_Space})+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Yields every match. */
function matches(pattern: RegExp): PreTokenizer {
  return function* (text) {
    for (const [part] of text.matchAll(pattern)) yield part;
  };
}

/** A part of a text, and whether it is a match of a pattern or, inverted, between matches. */
type Piece = readonly [part: string, matched: boolean];

/** What becomes of the matches, by `behavior`. */
const BEHAVIORS: Readonly<Record<string, (pieces: Iterable<Piece>) => Iterable<string>>> = {
  *Isolated(pieces) {
    for (const [part] of pieces) yield part;
  },
  *Removed(pieces) {
    for (const [part, matched] of pieces) if (!matched) yield part;
  },
  Contiguous: (pieces) => joined(pieces, (before, matched) => before === matched),
  MergedWithPrevious: (pieces) => joined(pieces, (before, matched) => matched && !before),
  MergedWithNext: (pieces) =>
    // The same from the end to the start.
    joined(
      [...pieces].reverse(),
      (behind, matched) => matched && !behind,
      (part, word) => part + word,
    ).reverse(),
};

/** Joins a part with the one before it where `joins` says so, by whether either is a match. */
function joined(
  pieces: Iterable<Piece>,
  joins: (before: boolean, matched: boolean) => boolean,
  join = (part: string, word: string) => word + part,
): string[] {
  const words: string[] = [];
  let before: boolean | undefined;
  for (const [part, matched] of pieces) {
    if (before !== undefined && joins(before, matched)) words.push(join(part, words.pop() ?? ''));
    else words.push(part);
    before = matched;
  }
  return words;
}

function split(pattern: RegExp, behavior: unknown, inverted = false): PreTokenizer | undefined {
  const apply = BEHAVIORS[String(behavior)];
  return (
    apply &&
    function* (text) {
      for (const word of apply(piecesOf(text, pattern, inverted))) if (word !== '') yield word;
    }
  );
}

function* piecesOf(text: string, pattern: RegExp, inverted: boolean): Iterable<Piece> {
  let done = 0;
  for (const { 0: match, index } of matchesOf(text, pattern)) {
    if (index > done) yield [text.slice(done, index), inverted];
    // One without characters divides those around it.
    yield [match, !inverted];
    done = index + match.length;
  }
  if (done < text.length) yield [text.slice(done), inverted];
}

/** GPT-2's words, as letters for their bytes. */
function byteLevel(config: JsonObject): PreTokenizer {
  const prefixed = config.add_prefix_space !== false;
  const whole = config.use_regex === false;
  const bytesAsLetters = createByteLetters();
  return function* (text) {
    const spaced = prefixed && !text.startsWith(' ') ? ` ${text}` : text;
    if (whole) yield bytesAsLetters(spaced);
    else for (const [word] of spaced.matchAll(BYTE_LEVEL_WORDS)) yield bytesAsLetters(word);
  };
}

/** Replaces spaces by a marker, usually `▁`, and splits before each. */
function metaspace(config: JsonObject): PreTokenizer {
  const mark = stringAt(config, 'replacement') ?? '\u2581';
  const scheme = stringAt(config, 'prepend_scheme') ?? (config.add_prefix_space === false ? 'never' : 'always');
  const splits = config.split !== false;
  return function* (text, first) {
    const prepend = scheme === 'always' || (scheme === 'first' && first);
    const marked = text.replaceAll(' ', mark);
    const whole = prepend && !marked.startsWith(mark) ? mark + marked : marked;
    if (!splits) {
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
  if (!Array.isArray(config.pretokenizers) || rewritingBeforeStart(config) !== undefined) return undefined;
  let whole = createPreTokenizer(undefined);
  for (const part of config.pretokenizers) {
    const next = createPreTokenizer(part);
    if (next === undefined) return undefined;
    whole = whole && chain(whole, next);
  }
  return whole;
}

function chain(outer: PreTokenizer, inner: PreTokenizer): PreTokenizer {
  return function* (text, first) {
    let begins = first;
    for (const part of outer(text, first)) {
      // Not behind spaces that are left out.
      yield* inner(part, begins && text.startsWith(part));
      begins = false;
    }
  };
}
