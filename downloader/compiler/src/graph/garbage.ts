import { MIB } from '@heimdex/common';

/** What may lie outside of JavaScript's heap before it is looked through: a small model is compiled in less time than that takes. */
const COLLECT_FROM_BYTES = 16 * MIB;

/**
 * Frees unused weights and outputs if the process was started with --expose-gc: they are outside of JavaScript's heap, so its
 * collector hardly accounts for them.
 */
export function collectGarbage(): void {
  if (process.memoryUsage().external >= COLLECT_FROM_BYTES) globalThis.gc?.();
}
