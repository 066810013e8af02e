/** How much may share a run of a worker, by its threads and by the memory there is beside the models. Pure. */
import type { BatchSpec } from './models/model.js';

/** The part of the memory that is free beside the models that runs may fill. */
const MAX_OF_FREE = 0.5;

export interface BudgetRequest {
  readonly batch: BatchSpec;
  readonly threads: number;
  /** What one worker needs at least. */
  readonly needBytes: number;
  /** What there is beside that, for this worker alone. */
  readonly freeBytes: number;
}

/** Maximum cost of the items of a run together, in the family's unit. One item always runs, whatever it costs. */
export function batchBudget({ batch, threads, needBytes, freeBytes }: BudgetRequest): number {
  const affordable = (freeBytes * MAX_OF_FREE) / batch.bytesPerCost(needBytes);
  return Math.max(1, Math.floor(Math.min(batch.maxCost(threads), affordable)));
}
