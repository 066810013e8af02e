/** Every program that writes a temporary file or directory changes it more often. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Returns whether what changed at a time (milliseconds since 1970) is a leftover of a killed run: no process is writing it. One that is dated in
 * the future was written while a clock was wrong.
 */
export function isAbandoned(modifiedMs: number, nowMs = Date.now()): boolean {
  return Math.abs(nowMs - modifiedMs) > ABANDONED_MS;
}
