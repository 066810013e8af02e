/**
 * Gives weights and answers back that are needed no more, where the process was started with --expose-gc: they lie outside of
 * JavaScript's heap, whose collector hardly sees them.
 */
export function collectGarbage(): void {
  globalThis.gc?.();
}
