import type { TokenizerComponent } from '@heimdex/cache';
import { isObject, type JsonObject, stringAt } from '../json.js';
import { createByteLetters, matchesOf, patternOf } from './library.js';
import { CharacterMap } from './precompiled.js';
import { COMBINING, INVISIBLE, lowerCase, MARKS, normalForm } from './unicode.js';

export interface Normalizer {
  (text: string): string;
  /** Whether what it makes begins where a text does, as Python's library tells it; by default, if its first character is not left out. */
  readonly keepsStart?: (text: string) => boolean;
}

/** Whether a normalized text begins where the text does. */
export function keepsStart(normalize: Normalizer, text: string): boolean {
  return normalize.keepsStart?.(text) ?? normalize(String.fromCodePoint(text.codePointAt(0) ?? 0)) !== '';
}

/**
 * Creates the normalizer of a tokenizer.json, exact to Python's tokenizers. Undefined for an unsupported kind.
 */
export function createNormalizer(config: unknown): Normalizer | undefined {
  if (config === null || config === undefined) return (text) => text;
  if (!isObject(config)) return undefined;
  const factories: Readonly<Partial<Record<string, Factory>>> = FACTORIES;
  return factories[stringAt(config, 'type') ?? '']?.(config);
}

type Factory = (config: JsonObject) => Normalizer | undefined;

const FACTORIES: Readonly<Record<TokenizerComponent<'normalizer'>, Factory>> = {
  Sequence: sequence,
  BertNormalizer: bert,
  Precompiled: precompiled,
  Lowercase: () => lowerCase,
  Nmt: () => (text) => text.replace(NMT_LEFT_OUT, '').replace(NMT_SPACES, ' '),
  ByteLevel: () => createByteLetters(),
  Strip: strip,
  Replace: replace,
  Prepend: (config) => (text) => (text === '' ? text : (stringAt(config, 'prepend') ?? '') + text),
  StripAccents: () => (text) => text.replace(COMBINING, ''),
  NFC: () => (text) => normalForm(text, 'NFC'),
  NFD: () => (text) => normalForm(text, 'NFD'),
  NFKC: () => (text) => normalForm(text, 'NFKC'),
  NFKD: () => (text) => normalForm(text, 'NFKD'),
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out.
const NMT_LEFT_OUT = /[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;

function sequence(config: JsonObject): Normalizer | undefined {
  if (!Array.isArray(config.normalizers)) return undefined;
  const parts: Normalizer[] = [];
  for (const part of config.normalizers) {
    const normalizer = createNormalizer(part);
    if (normalizer === undefined) return undefined;
    parts.push(normalizer);
  }
  return Object.assign((text: string) => parts.reduce((sofar, normalizer) => normalizer(sofar), text), {
    keepsStart(text: string) {
      let sofar = text;
      return parts.every((normalizer) => {
        const kept = keepsStart(normalizer, sofar);
        sofar = normalizer(sofar);
        return kept;
      });
    },
  });
}

function replace(config: JsonObject): Normalizer {
  const pattern = patternOf(config);
  const content = stringAt(config, 'content') ?? '';
  const replaceAll = (text: string) => {
    let replaced = '';
    let done = 0;
    for (const { 0: match, index } of matchesOf(text, pattern)) {
      replaced += text.slice(done, index) + content;
      done = index + match.length;
    }
    return replaced + text.slice(done);
  };
  return Object.assign(replaceAll, {
    // What stands for several characters is where the last of them was.
    keepsStart(text: string) {
      const [first] = matchesOf(text, pattern);
      const replaced = first?.index === 0 ? Array.from(first[0]).length : 0;
      return replaced === 0 || (replaced === 1 && content !== '');
    },
  });
}

function precompiled(config: JsonObject): Normalizer | undefined {
  const map = stringAt(config, 'precompiled_charsmap');
  // Some files have no map; then nothing is changed.
  if (map === undefined || map === '') return (text) => text;
  const characters = new CharacterMap(map);
  // The library does not count the characters that are left out first.
  return Object.assign((text: string) => characters.apply(text), { keepsStart: () => true });
}

/** Method: BERT's BasicTokenizer, in the order of the tokenizers library. */
function bert(config: JsonObject): Normalizer {
  const lower = config.lowercase !== false;
  const strip = config.strip_accents ?? lower;
  return (text) => {
    let out = text;
    if (config.clean_text !== false)
      out = out
        .replace(/[\0\ufffd]/g, '')
        .replace(INVISIBLE, '')
        .replace(/\p{White_Space}/gu, ' ');
    if (config.handle_chinese_chars !== false) out = out.replace(CHINESE, ' $& ');
    if (strip === true) out = normalForm(out, 'NFD').replace(MARKS, '');
    return lower ? lowerCase(out) : out;
  };
}

const CHINESE =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

function strip(config: JsonObject): Normalizer {
  const left = config.strip_left === true;
  const right = config.strip_right === true;
  const stripAll = (text: string) => {
    let start = 0;
    let end = text.length;
    while (left && start < end && isSpace(text, start)) start += 1;
    while (right && end > start && isSpace(text, end - 1)) end -= 1;
    return text.slice(start, end);
  };
  return Object.assign(stripAll, { keepsStart: (text: string) => !left || !isSpace(text, 0) });
}

/** Returns whether a code unit is white space; all of Unicode's spaces have one code unit. */
export function isSpace(text: string, at: number): boolean {
  return /\p{White_Space}/u.test(text.charAt(at));
}
