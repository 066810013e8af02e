/** The cost limit of a batch, from the worker's threads and the memory left besides the models. Pure. */
import type { BatchSpec } from '../models/model.js';

/** Maximum fraction of the free memory that runs may use. */
const MAX_FREE_FRACTION = 0.5;

export interface BudgetRequest {
  readonly batch: BatchSpec;
  readonly threads: number;
  /** Minimum memory of a worker. */
  readonly needBytes: number;
  /** Memory available to this worker in addition. */
  readonly freeBytes: number;
}

/** Returns the maximum total cost per run, in the family's unit. A single item always runs, whatever its cost. */
export function batchBudget({ batch, threads, needBytes, freeBytes }: BudgetRequest): number {
  const affordable = (freeBytes * MAX_FREE_FRACTION) / batch.bytesPerCost(needBytes);
  return Math.max(1, Math.floor(Math.min(batch.maxCost(threads), affordable)));
}
