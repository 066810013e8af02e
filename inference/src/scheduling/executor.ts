import type { Outcome } from '../models/model.js';

/** A worker as the lane sees it. One run at a time. */
export interface Executor<Item, Result> {
  /**
   * One outcome an item, in order; `signals` are the items' own. Rejects with WORKER_LOST when the worker was lost in the
   * run, with anything else when the run failed as a whole.
   */
  run(items: readonly Item[], signals: readonly AbortSignal[]): Promise<ExecutorAnswer<Result>>;
}

export interface ExecutorAnswer<Result> {
  readonly outcomes: readonly Outcome<Result>[];
  /** Measured where the model runs, waiting excluded. */
  readonly runMs: number;
}
