/** Times of answers: seconds to the millisecond, milliseconds to the microsecond. */

/** Rounds to three decimals: sums of samples, windows and runs leave 47.32000000000001. */
export function roundTime(time: number): number {
  return Math.round(time * 1000) / 1000;
}

/** Rounds the start and the end of a segment or word, in seconds. */
export function roundSpan<T extends { readonly startSeconds: number; readonly endSeconds: number }>(span: T): T {
  return { ...span, startSeconds: roundTime(span.startSeconds), endSeconds: roundTime(span.endSeconds) };
}
