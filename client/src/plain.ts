import type { Message } from '@bufbuild/protobuf';

/**
 * A message of the contract as plain data: the same fields, without the codec's own keys, 64-bit integers as numbers
 * (exact up to 2^53). It prints and serialises as JSON as it stands.
 */
export type Plain<T> = T extends bigint
  ? number
  : T extends Uint8Array
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Plain<Item>[]
      : T extends object
        ? { readonly [Key in keyof T as Key extends '$typeName' | '$unknown' ? never : Key]: Plain<T[Key]> }
        : T;

/** A message as plain data. Bytes are shared with the message, everything else is copied. */
export function plain<T extends Message>(message: T): Plain<T> {
  return plainValue(message) as Plain<T>;
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '$typeName' && key !== '$unknown')
      .map(([key, field]) => [key, plainValue(field)]),
  );
}
