import type { FoundCheckpoint } from '@heimdex/cache';

/** What compiling will cost. */
export interface CompileEstimate {
  /** On one core of a machine of today, the self-check included. */
  readonly seconds: number;
  /** At most, on the volume. */
  readonly diskBytes: number;
}

/** Seconds a byte of checkpoint, by form: measured on checkpoints of 0.1 to 0.4 GB in float32, one core (AVX512-VNNI). */
const SECONDS_A_BYTE = 25e-9;
/** Compiled bytes a byte of a checkpoint in half precision, tables of tokens included; of one in float32 it is half of that. */
const GROWTH: Readonly<Record<string, number>> = { int8: 0.75, fp16: 1.05, fp32: 2.05 };

/** Reckons what compiling a checkpoint of so many bytes costs. Pure. */
export function estimateCompile(sizeBytes: number, precision: string): CompileEstimate {
  return {
    seconds: Math.max(1, Math.round(sizeBytes * SECONDS_A_BYTE)),
    diskBytes: Math.round(sizeBytes * (GROWTH[precision] ?? 1)),
  };
}

/** Bytes of a checkpoint on the volume. */
export function checkpointBytes({ files }: Pick<FoundCheckpoint, 'files'>): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
