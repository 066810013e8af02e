/** Exponential back-off: `initialDelayMs` after the first failure, doubled with each further one, `maxDelayMs` at most. */
export function exponentialDelayMs(failures: number, initialDelayMs: number, maxDelayMs: number): number {
  return Math.min(maxDelayMs, initialDelayMs * 2 ** Math.max(0, failures - 1));
}
