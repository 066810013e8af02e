/** Request validation. */
import { InferenceError } from '../errors.js';
import { roundFloat } from './rounding.js';

/** Creates INVALID_ARGUMENT for a field; `field` is its path in the request, such as `images[3].content`. */
export function invalid(field: string, message: string): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', `${field} ${message}`, { field });
}

/** Throws INVALID_ARGUMENT unless there are 1 to `max` items. */
export function checkBatch(field: string, count: number, max: number): void {
  if (count < 1) throw invalid(field, `must have 1 to ${max} entries, got none`);
  if (count > max)
    throw invalid(field, `must have at most ${max} entries per call, got ${count}; split it into several calls`);
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}

/** The range of a fraction or probability. */
export function fraction(fallback: number): NumberRange {
  return { min: 0, max: 1, fallback };
}

/** Returns the number, or `fallback` if undefined. Throws INVALID_ARGUMENT for NaN or a number outside `min` to `max`. */
export function checkNumber(field: string, value: number | undefined, range: NumberRange): number {
  if (value === undefined) return range.fallback;
  const { min, max } = range;
  if (value >= min && value <= max) return value;
  throw invalid(field, `must be ${expectedNumber(value, min, max)}, got ${shown(value)}`);
}

/** Doubles and whole numbers keep all of their digits. */
function shown(value: number): number {
  return Math.fround(value) === value && !Number.isInteger(value) ? roundFloat(value) : value;
}

/** Limits that are those of numbers themselves are not shown. */
function expectedNumber(value: number, min: number, max: number): string {
  if (max < Number.MAX_VALUE) return `${min} to ${shown(max)}`;
  return value > max || min <= -Number.MAX_VALUE ? 'a finite number' : `${min} or more`;
}

/** Returns the table's entry for an enum value. Throws INVALID_ARGUMENT for a number that the contract does not define. */
export function checkEnum<Value extends number, Result>(
  field: string,
  value: Value,
  table: Readonly<Record<Value, Result>>,
): Result {
  if (!Object.hasOwn(table, value)) throw invalid(field, `has no enum value ${value}`);
  return table[value];
}
