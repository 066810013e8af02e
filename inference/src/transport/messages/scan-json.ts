/** Measures the parsing cost of JSON from its bytes: values and depth. One pass, no copies. */
import type { BinaryLimits } from './scan-binary.js';

export type JsonLimits = Pick<BinaryLimits, 'maxValues' | 'maxDepth'>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** By byte: values that it announces, and levels that it goes deeper. */
const VALUES = tableOf({ ',': 1, ':': 1, '[': 1, '{': 1 });
const LEVELS = tableOf({ '[': 1, '{': 1, ']': -1, '}': -1 });

/** Returns why the text must not be parsed, or undefined. Invalid JSON is reported by the parser. */
export function refuseJson(bytes: Uint8Array, { maxValues, maxDepth }: JsonLimits): string | undefined {
  let values = 0;
  let depth = 0;
  let backslash = -1;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      // Long strings are skipped with the runtime's search; strings with escapes are scanned by byte.
      if (backslash < at) backslash = indexOrEnd(bytes, BACKSLASH, at);
      const end = indexOrEnd(bytes, QUOTE, at + 1);
      at = end <= backslash ? end : endOfString(bytes, at + 1);
    }
    values += VALUES[byte] as number;
    depth += LEVELS[byte] as number;
    if (depth > maxDepth) return `it is nested deeper than ${maxDepth}`;
    if (values > maxValues) return `it has more than ${maxValues} values`;
  }
  return undefined;
}

function tableOf(numbers: Readonly<Record<string, number>>): Int8Array {
  const table = new Int8Array(256);
  for (const [character, number] of Object.entries(numbers)) table[character.charCodeAt(0)] = number;
  return table;
}

function indexOrEnd(bytes: Uint8Array, byte: number, from: number): number {
  const index = bytes.indexOf(byte, from);
  return index < 0 ? bytes.length : index;
}

function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
