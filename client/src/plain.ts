import type { Message } from '@bufbuild/protobuf';

/**
 * A protobuf message as plain data, ready for JSON: the same fields without the codec's keys, and 64-bit integers as
 * numbers (exact up to 2^53).
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

/** Converts a message to plain data. Bytes are shared with the message, everything else is copied. */
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
