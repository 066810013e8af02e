/** What is wrong with a request, said so that its author can mend it. */
import { InferenceError } from '../errors.js';

/** INVALID_ARGUMENT for one field; `field` is its path in the request: `images[3].content`. */
export function invalid(field: string, message: string): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', `${field} ${message}`, { field });
}

/** Throws INVALID_ARGUMENT unless there are 1 to `max` items. */
export function checkBatch(field: string, count: number, max: number): void {
  if (count < 1) throw invalid(field, `must have 1 to ${max} entries, got none`);
  if (count > max) throw invalid(field, `must have at most ${max} entries a call, got ${count}; send several calls`);
}

/** The number, or `fallback` when it is not given. Throws INVALID_ARGUMENT for one outside `min` to `max`, or NaN. */
export function checkNumber(
  field: string,
  value: number | undefined,
  range: { readonly min: number; readonly max: number; readonly fallback: number },
): number {
  if (value === undefined) return range.fallback;
  const { min, max } = range;
  if (value >= min && value <= max) return value;
  const expected = max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`;
  throw invalid(field, `must be ${expected}, got ${value}`);
}

/** The table's entry for an enum's value. Throws INVALID_ARGUMENT for a number that the contract does not have. */
export function checkEnum<Value extends number, Result>(
  field: string,
  value: Value,
  table: Readonly<Record<Value, Result>>,
): Result {
  if (!Object.hasOwn(table, value)) throw invalid(field, `has no value ${value}`);
  return table[value];
}
