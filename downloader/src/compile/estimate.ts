import type { Precision } from '@heimdex/cache';
import type { JsonObject } from '@heimdex/common';

/** Estimated cost of compiling. */
export interface CompileEstimate {
  /** On one core of a current machine, self-check included. */
  readonly seconds: number;
  /** Maximum on the volume. */
  readonly diskBytes: number;
}

/**
 * Per byte of a float32 checkpoint, by precision; half precision costs twice as much. Seconds as measured on BERT base and Whisper
 * base (one core, AVX512-VNNI). If the first form misses the accuracy threshold, a second one takes half as long again: the
 * estimate is in between. Growth as measured on the shape of Whisper tiny, the most: half of it is the token table, which is written
 * a second time for the scores.
 */
const COSTS: Readonly<Record<Precision, { readonly seconds: number; readonly growth: number }>> = {
  int8: { seconds: 14e-9, growth: 0.55 },
  fp16: { seconds: 17e-9, growth: 1.05 },
  fp32: { seconds: 5e-9, growth: 1.55 },
};

/** Estimates the cost of compiling a checkpoint of a given size. Pure. */
export function estimateCompile(sizeBytes: number, precision: Precision, isHalf: boolean): CompileEstimate {
  const { seconds, growth } = COSTS[precision];
  const floatBytes = isHalf ? 2 * sizeBytes : sizeBytes;
  return { seconds: Math.max(1, Math.round(floatBytes * seconds)), diskBytes: Math.round(floatBytes * growth) };
}

/** Returns whether a checkpoint is known to be half precision before it is read: OpenAI's original files are, others by their config.json. */
export function isHalfPrecision(paths: readonly string[], config: JsonObject = {}): boolean {
  const type = config.dtype ?? config.torch_dtype;
  return paths.every((path) => path.endsWith('.pt')) || type === 'float16' || type === 'bfloat16';
}
