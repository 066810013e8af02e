/**
 * SentencePiece's precompiled character map, applied as in the tokenizers library: to a short grapheme as a whole, else to each
 * character; a grapheme is replaced by the replacement of its shortest known prefix. Layout of the map: the size of a double
 * array in bytes, the double array (darts-clone), then the zero-terminated replacements.
 */
export class CharacterMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  readonly #segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  /** Cache of the replacements of single characters; most texts use few different ones. */
  readonly #characters = new Map<string, string>();

  /** Throws if `base64` is not a valid map. */
  constructor(base64: string) {
    const bytes = Buffer.from(base64, 'base64');
    const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
    if (size <= 0 || size % 4 !== 0 || 4 + size > bytes.length) {
      throw new Error(`Expected a precompiled_charsmap with a trie, got ${bytes.length} bytes.`);
    }
    this.#units = Uint32Array.from({ length: size / 4 }, (_, unit) => bytes.readUInt32LE(4 + unit * 4));
    this.#replacements = bytes.subarray(4 + size);
  }

  apply(text: string): string {
    let out = '';
    let done = 0;
    for (const run of text.matchAll(SEPARATE)) {
      out += this.#byGrapheme(text.slice(done, run.index));
      for (const character of run[0]) out += this.#character(character);
      done = run.index + run[0].length;
    }
    return out + this.#byGrapheme(text.slice(done));
  }

  #byGrapheme(text: string): string {
    let out = '';
    for (const grapheme of this.#graphemes(text)) {
      const whole = byteLength(grapheme) < SHORT_GRAPHEME_BYTES ? this.#lookUp(grapheme) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of grapheme) out += this.#character(character);
    }
    return out;
  }

  /** Segments in slices, since Intl.Segmenter takes quadratic time. The last grapheme of a slice may continue in the next. */
  *#graphemes(text: string): Iterable<string> {
    let start = 0;
    let size = SLICE;
    while (start < text.length) {
      const end = characterEnd(text, start + size);
      const graphemes = Array.from(this.#segmenter.segment(text.slice(start, end)), ({ segment }) => segment);
      const last = end < text.length ? graphemes.pop() : undefined;
      yield* graphemes;
      // A grapheme longer than the slice: extend the slice.
      size = graphemes.length === 0 ? size * 2 : SLICE;
      start = end - (last?.length ?? 0);
    }
  }

  #character(character: string): string {
    const known = this.#characters.get(character);
    if (known !== undefined) return known;
    const replacement = this.#lookUp(character) ?? character;
    if (this.#characters.size >= MAX_CHARACTERS) this.#characters.clear();
    this.#characters.set(character, replacement);
    return replacement;
  }

  /** Returns the replacement of the shortest prefix of `text` in the map. */
  #lookUp(text: string): string | undefined {
    let node = offsetOf(this.#units[0] ?? 0);
    for (const byte of this.#encoder.encode(text)) {
      if (byte === 0) break;
      node ^= byte;
      const unit = this.#units[node] ?? 0;
      if (labelOf(unit) !== byte) return undefined;
      node ^= offsetOf(unit);
      if (isLeaf(unit)) return this.#replacement((this.#units[node] ?? 0) & VALUE_MASK);
    }
    return undefined;
  }

  #replacement(start: number): string {
    return this.#decoder.decode(this.#replacements.subarray(start, this.#replacements.indexOf(0, start)));
  }
}

const SHORT_GRAPHEME_BYTES = 6;
const MAX_CHARACTERS = 10_000;
const SLICE = 256;

/**
 * Characters that are single graphemes next to each other: Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic and Georgian letters,
 * kana, Chinese characters, precomposed Korean syllables, and the punctuation between them.
 */
const PLAIN =
  '\\n\\u0020-\\u007e\\u00a0-\\u00ac\\u00ae-\\u02ff\\u0370-\\u0482\\u048a-\\u052f\\u0531-\\u058a\\u05be\\u05d0-\\u05ea' +
  '\\u060c\\u061b\\u061f-\\u064a\\u0660-\\u066f\\u0671-\\u06d3\\u10a0-\\u10ff\\u1e00-\\u1fff\\u2010-\\u2027\\u2030-\\u205e' +
  '\\u20a0-\\u20bf\\u3000-\\u3029\\u3030-\\u3096\\u309b-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7a3\\uff01-\\uff9d';
const SEPARATE = new RegExp(`(?<![^${PLAIN}])(?:[${PLAIN}](?![^${PLAIN}]))+`, 'gu');

const VALUE_MASK = 0x7fff_ffff;

function isLeaf(unit: number): boolean {
  return ((unit >>> 8) & 1) === 1;
}

function labelOf(unit: number): number {
  return (unit & 0x8000_00ff) >>> 0;
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function byteLength(text: string): number {
  return text.length >= SHORT_GRAPHEME_BYTES ? text.length : Buffer.byteLength(text);
}

/** Returns `at`, or one more to keep a surrogate pair together. */
function characterEnd(text: string, at: number): number {
  return at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at + 1 : Math.min(at, text.length);
}
