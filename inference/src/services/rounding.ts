/** Numbers as callers read them: seconds to the millisecond, milliseconds to the microsecond, float32 to its seven digits. */

/** Rounds to three decimals: sums of samples, windows and runs leave 47.32000000000001. */
export function roundTime(time: number): number {
  return Math.round(time * 1000) / 1000;
}

/** Rounds the start and the end of a segment or word, in seconds. */
export function roundSpan<T extends { readonly startSeconds: number; readonly endSeconds: number }>(span: T): T {
  return { ...span, startSeconds: roundTime(span.startSeconds), endSeconds: roundTime(span.endSeconds) };
}

/** A float32 without the digits that it does not have. */
export function roundFloat(value: number): number {
  return Number(value.toPrecision(7));
}
