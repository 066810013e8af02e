/** Jobs of a model queue: items that wait for a run, and their outcomes. */
import { InferenceError } from '../errors.js';
import type { Outcome } from '../models/model.js';
import type { Entry } from './fair-queue.js';

/** The result of an item and the facts of its run. */
export interface Done<Result> {
  readonly value: Result;
  readonly run: RunFacts;
}

export interface RunFacts {
  /** Equal for all items of one run. */
  readonly id: number;
  /** On the clock of the queue: performance.now() in the server. */
  readonly startedAtMs: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly batchSize: number;
}

/** An item in the queue or in a run, with the callbacks of its caller. */
export interface Job<Item, Result> {
  readonly item: Item;
  readonly signal: AbortSignal;
  readonly submittedAtMs: number;
  attempts: number;
  /** Its entry in the queue, removed if the caller abandons it. */
  entry: Entry<Job<Item, Result>> | undefined;
  resolve(done: Done<Result>): void;
  reject(error: unknown): void;
}

/** Delivers an item's outcome to its caller. */
export function deliver<Item, Result>(
  job: Job<Item, Result>,
  outcome: Outcome<Result> | undefined,
  run: RunFacts,
): void {
  if (outcome === undefined) job.reject(new Error('a worker returned fewer outcomes than items'));
  else if (outcome.ok) job.resolve({ value: outcome.value, run });
  else job.reject(outcome.error);
}

/** Returns the error of an item whose worker was lost, and again when it ran alone. */
export function workerLostTwice(): InferenceError {
  return new InferenceError(
    'WORKER_LOST_TWICE',
    'Two worker processes died on this item, the second with no other work: the input may be the cause. See the server ' +
      'log.',
  );
}

/** Returns the error of an item whose deadline passed in the queue. */
export function deadlineExceeded(): InferenceError {
  return new InferenceError(
    'DEADLINE_EXCEEDED',
    'The deadline passed while the item waited in the queue; it was not run.',
  );
}
