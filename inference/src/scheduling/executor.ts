import type { Outcome } from '../models/model.js';

/** Options of a run, and the callback for early outcomes. */
export interface RunOptions<Result> {
  /** The items run between the steps of the worker's current run, which waits meanwhile. */
  readonly preempting: boolean;
  /** The run's only item was in a failed run before: if the worker is lost now, the item may be the cause. */
  readonly poisonSuspect: boolean;
  /** Predicted time of the run, milliseconds; undefined before the model's first run. */
  readonly expectedMs: number | undefined;
  /** Called for an item that finishes before the others of its run; `runMs` is the time since the run began. */
  settled(index: number, outcome: Outcome<Result>, runMs: number): void;
}

/** A worker as the model queue sees it: one run at a time, plus one run that preempts it. */
export interface Executor<Item, Result> {
  /** Threads of its runs. */
  readonly threads: number;
  /**
   * `signals` has one signal per item. Rejects with WORKER_LOST if the worker was lost during the run, with any other error if
   * the run failed as a whole; outcomes settled earlier remain valid.
   */
  run(
    items: readonly Item[],
    signals: readonly AbortSignal[],
    runOptions: RunOptions<Result>,
  ): Promise<ExecutorAnswer<Result>>;
}

export interface ExecutorAnswer<Result> {
  /** One per item, in order; undefined: settled earlier. */
  readonly outcomes: readonly (Outcome<Result> | undefined)[];
  /** Measured in the worker, queueing excluded. */
  readonly runMs: number;
}
