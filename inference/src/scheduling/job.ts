/** What a lane does its work with: items that wait for a run, and how they end. */
import { InferenceError } from '../errors.js';
import type { Outcome } from '../models/model.js';
import type { Entry, Flow } from './fair-queue.js';

/** One item's result and what its run was. */
export interface Done<Result> {
  readonly value: Result;
  readonly run: RunFacts;
}

export interface RunFacts {
  /** The same for all items that ran together. */
  readonly id: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly batchSize: number;
}

/** An item on its way into the queue. */
export interface Submission<Item> {
  readonly item: Item;
  readonly cost: number;
  readonly signal: AbortSignal;
  readonly flow: Flow;
  readonly deadlineAtMs: number;
}

/** An item in the queue or in a run, and the caller who waits for it. */
export interface Job<Item, Result> {
  readonly item: Item;
  readonly signal: AbortSignal;
  readonly submittedAtMs: number;
  attempts: number;
  /** Where it waits, to be taken out when it is abandoned. */
  entry: Entry<Job<Item, Result>> | undefined;
  resolve(done: Done<Result>): void;
  reject(error: unknown): void;
}

/** Gives an item's outcome to its caller. */
export function deliver<Item, Result>(
  job: Job<Item, Result>,
  outcome: Outcome<Result> | undefined,
  run: RunFacts,
): void {
  if (outcome === undefined) job.reject(new Error('a worker answered with fewer outcomes than it was given items'));
  else if (outcome.ok) job.resolve({ value: outcome.value, run });
  else job.reject(outcome.error);
}

/** The error of an item over which a worker was lost, and alone in its run another one. */
export function lostTwice(): InferenceError {
  return new InferenceError(
    'WORKER_LOST_TWICE',
    'The process that worked on this was lost, and the next one, which had nothing else to do: it may be the input. The ' +
      'log has the reason.',
  );
}

/** The error of an item that was taken out of the queue too late to run. */
export function deadlineExceeded(): InferenceError {
  return new InferenceError(
    'DEADLINE_EXCEEDED',
    'The deadline passed while the work waited in the queue; it was not run.',
  );
}
