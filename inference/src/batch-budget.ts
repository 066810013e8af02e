/** The cost limit of a batch, from the worker's threads and the memory left besides the models. Pure. */
import type { FamilySpec } from './models/model.js';

type CostUnit = FamilySpec<never>['costUnit'];

const MIB = 1024 * 1024;

/**
 * Useful batch cost per thread. Measured (bench/serving/batches.js): four images or about thirty texts per thread take 0.6 to
 * 0.75 of the time of single runs, and larger batches no less. For faces, the only gain is that the next images are decoded
 * meanwhile.
 */
const COST_PER_THREAD = { tokens: 2304, pixels: 8 * MIB } as const;
/** Four windows of speech, independent of the threads: the decoder reads its weights once for all. More windows gain nothing. */
const SPEECH_SECONDS = 120;

/** Memory of a run per unit of cost, besides the model: 100 MiB per window of Whisper base, 40 MiB per image of so400m. */
const BYTES_PER_COST = { tokens: 64 * 1024, pixels: 64 } as const;
/** For speech, it grows with the model, as the cross-attention cache does: a worker's need divided by this, per second. */
const SPEECH_NEED_DIVISOR = 60;
/** Maximum fraction of the free memory that runs may use. */
const MAX_FREE_FRACTION = 0.5;

export interface BudgetRequest {
  readonly unit: CostUnit;
  readonly threads: number;
  /** Minimum memory of a worker. */
  readonly needBytes: number;
  /** Memory available to this worker in addition. */
  readonly freeBytes: number;
}

/** Returns the maximum total cost per run, in the family's unit. A single item always runs, whatever its cost. */
export function batchBudget({ unit, threads, needBytes, freeBytes }: BudgetRequest): number {
  const speech = unit === 'audio seconds';
  const useful = speech ? SPEECH_SECONDS : COST_PER_THREAD[unit] * threads;
  const bytes = speech ? needBytes / SPEECH_NEED_DIVISOR : BYTES_PER_COST[unit];
  return Math.max(1, Math.floor(Math.min(useful, (freeBytes * MAX_FREE_FRACTION) / bytes)));
}
