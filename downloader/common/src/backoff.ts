/** Exponential back-off: `firstMs` after the first failure, doubled with each further one, `maxMs` at most. */
export function exponentialDelayMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1));
}
