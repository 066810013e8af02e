import type { FoundCheckpoint } from '@heimdex/cache';

/** What compiling will cost. */
export interface CompileEstimate {
  /** On one core of a machine of today, the self-check included. */
  readonly seconds: number;
  /** At most, on the volume. */
  readonly diskBytes: number;
}

/**
 * For a byte of a checkpoint in float32, by precision; one in half precision takes twice as much. Seconds and growth as measured on
 * BERT base and Whisper base (one core, AVX512-VNNI): the second has the largest table of tokens for its size. A second form, where
 * the first is below the mark, takes half as long again: the estimate is between the two.
 */
const COSTS: Readonly<Record<string, { readonly seconds: number; readonly growth: number }>> = {
  int8: { seconds: 14e-9, growth: 0.55 },
  fp16: { seconds: 17e-9, growth: 0.95 },
  fp32: { seconds: 5e-9, growth: 1.4 },
};
const UNKNOWN = { seconds: 17e-9, growth: 1.4 };

/** Reckons what compiling a checkpoint of so many bytes costs. Pure. */
export function estimateCompile(sizeBytes: number, precision: string, isHalf: boolean): CompileEstimate {
  const { seconds, growth } = COSTS[precision] ?? UNKNOWN;
  const floatBytes = isHalf ? 2 * sizeBytes : sizeBytes;
  return { seconds: Math.max(1, Math.round(floatBytes * seconds)), diskBytes: Math.round(floatBytes * growth) };
}

/** Whether a checkpoint is known to be in half precision before its first byte is read: OpenAI's own files are. */
export function isHalfPrecision(paths: readonly string[]): boolean {
  return paths.every((path) => path.endsWith('.pt'));
}

/** Bytes of a checkpoint on the volume. */
export function checkpointBytes({ files }: Pick<FoundCheckpoint, 'files'>): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
