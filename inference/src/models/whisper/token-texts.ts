import { type JsonObject, objectAt, objectsAt, stringAt } from '../../json.js';

/**
 * The texts of all tokens, as UTF-8 in one array. As strings of their own, with the merges of the encoder, they are 20 MB of objects,
 * which V8 marks in each collection: a sixth of the time between a long audio file's runs.
 */
export class TokenTexts {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  private constructor(
    private readonly bytes: Uint8Array,
    /** By token: where its text begins, and at the next index ends. */
    private readonly starts: Uint32Array,
  ) {}

  /** Reads them from tokenizer.json. Special tokens have no text. Undefined if its tokens are not those of byte-level BPE. */
  static read(json: JsonObject): TokenTexts | undefined {
    if (stringAt(objectAt(json, 'decoder'), 'type') !== 'ByteLevel') return undefined;
    const texts: Uint8Array[] = [];
    for (const [token, id] of Object.entries(objectAt(objectAt(json, 'model'), 'vocab'))) {
      if (isId(id)) texts[id] = Uint8Array.from(token, (letter) => BYTES.get(letter) ?? 0);
    }
    for (const { id, content, special } of objectsAt(json, 'added_tokens')) {
      if (isId(id)) texts[id] = new TextEncoder().encode(special === true ? '' : String(content));
    }
    const starts = new Uint32Array(texts.length + 1);
    for (let id = 0; id < texts.length; id++) starts[id + 1] = (starts[id] ?? 0) + (texts[id]?.length ?? 0);
    const bytes = new Uint8Array(starts[texts.length] ?? 0);
    texts.forEach((text, id) => {
      bytes.set(text, starts[id]);
    });
    return new TokenTexts(bytes, starts);
  }

  /** The text of a sequence. A letter may be spread over several tokens. */
  decode(tokens: readonly number[]): string {
    const parts = tokens.map((token) => this.bytes.subarray(this.starts[token] ?? 0, this.starts[token + 1] ?? 0));
    return this.#decoder.decode(Buffer.concat(parts));
  }
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The letters of byte-level BPE: printable characters of Latin-1 stand for themselves, those from 256 on for the other bytes. */
const BYTES: ReadonlyMap<string, number> = byteLetters();

function byteLetters(): Map<string, number> {
  const isPrintable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const letters = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) letters.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  return letters;
}
