/** How much may share a run of a worker, by its threads and by the memory there is beside the models. Pure. */
import { MIB } from '@heimdex/common';
import type { FamilySpec } from './models/model.js';

type CostUnit = FamilySpec<never>['costUnit'];

/**
 * What is worth sharing a run, for each thread of it. Measured (bench/serving/batches.js): four images or some thirty texts a
 * thread cost 0.6 to 0.75 of what they cost one by one, and more of them no less; images of faces gain nothing but that the
 * next ones are decoded meanwhile.
 */
const COST_PER_THREAD = { tokens: 2304, pixels: 8 * MIB } as const;
/** Four windows of speech, whatever the threads: the decoder reads its weights once for all of them. More gain nothing. */
const SPEECH_SECONDS = 120;

/** What a run takes for a unit of its cost, beside the model: 100 MiB for a window of Whisper base, 40 for an image of so400m. */
const BYTES_PER_COST = { tokens: 64 * 1024, pixels: 64 } as const;
/** Of speech it grows with the model, as the keys and values of the audio do. */
const SPEECH_NEED_PER_SECOND = 60;
/** The part of the memory that is free beside the models that runs may fill. */
const MAX_OF_FREE = 0.5;

export interface BudgetRequest {
  readonly unit: CostUnit;
  readonly threads: number;
  /** What one worker needs at least. */
  readonly needBytes: number;
  /** What there is beside that, for this worker alone. */
  readonly freeBytes: number;
}

/** Most that the items of a run may cost together, in the family's unit. One item always runs, whatever it costs. */
export function batchBudget({ unit, threads, needBytes, freeBytes }: BudgetRequest): number {
  const speech = unit === 'audio seconds';
  const worthwhile = speech ? SPEECH_SECONDS : COST_PER_THREAD[unit] * threads;
  const bytes = speech ? needBytes / SPEECH_NEED_PER_SECOND : BYTES_PER_COST[unit];
  return Math.max(1, Math.floor(Math.min(worthwhile, (freeBytes * MAX_OF_FREE) / bytes)));
}
