/** Measures the parsing cost of JSON from its bytes: values and depth. One pass, no copies. */
import type { BinaryLimits } from './scan-binary.js';

export type JsonLimits = Pick<BinaryLimits, 'maxValues' | 'maxDepth'>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/** Returns why the text must not be parsed, or undefined. Invalid JSON is reported by the parser. */
export function refuseJson(bytes: Uint8Array, { maxValues, maxDepth }: JsonLimits): string | undefined {
  let values = 0;
  let depth = 0;
  let backslash = -2;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte <= 0x20) continue;
    if (byte === QUOTE) {
      // Long strings are skipped with the runtime's search; strings with escapes are scanned by byte.
      if (backslash !== -1 && backslash < at) backslash = bytes.indexOf(BACKSLASH, at);
      const end = bytes.indexOf(QUOTE, at + 1);
      if (end < 0) return undefined;
      at = backslash === -1 || backslash > end ? end : endOfString(bytes, at + 1);
    } else if (byte === COMMA || byte === COLON) {
      values += 1;
    } else if (OPENING.has(byte)) {
      values += 1;
      depth += 1;
      if (depth > maxDepth) return `it is nested deeper than ${maxDepth}`;
    } else if (CLOSING.has(byte)) {
      depth -= 1;
    }
    if (values > maxValues) return `it has more than ${maxValues} values`;
  }
  return undefined;
}

function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
