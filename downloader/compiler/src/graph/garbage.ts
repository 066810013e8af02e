/**
 * Frees unused weights and outputs if the process was started with --expose-gc: they are outside of JavaScript's heap, so its
 * collector hardly accounts for them.
 */
export function collectGarbage(): void {
  globalThis.gc?.();
}
