/** Checks of what calls take: JavaScript checks no types. Each throws InferenceClientError INVALID_ARGUMENT that names the argument. */

import { types } from 'node:util';
import { type InferenceClientError, invalidOption } from './errors.js';

/** Returns what a word stands for as the value of an option. A default in the place of another word would be a wrong answer. */
export function meaningOf<Meaning>(option: string, word: string, meanings: Readonly<Record<string, Meaning>>): Meaning {
  if (Object.hasOwn(meanings, word)) return meanings[word] as Meaning;
  throw invalidOption(option, `must be ${Object.keys(meanings).join(' or ')}, got ${String(word)}`);
}

/** Of an ArrayBuffer or a string in the place of bytes nothing would be sent. */
export function expectBytes(name: string, value: unknown): void {
  if (!types.isUint8Array(value)) throw wrongType(name, 'a Uint8Array, such as a Buffer', value);
}

/** @param expectItem checks one item, whose name has its place, such as `images[3]` */
export function expectList(name: string, values: unknown, expectItem: (name: string, item: unknown) => void): void {
  if (!Array.isArray(values)) throw wrongType(name, 'an array', values);
  for (const [index, value] of values.entries()) expectItem(`${name}[${index}]`, value);
}

export function expectText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
}

/** Returns the error for a value of the wrong type. */
export function wrongType(name: string, expected: string, value: unknown): InferenceClientError {
  return invalidOption(
    name,
    `must be ${expected}, got ${Object.prototype.toString.call(value).slice('[object '.length, -1)}`,
  );
}
