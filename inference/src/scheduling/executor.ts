import type { Outcome } from '../models/model.js';

/** How a run is made, and who hears of it before its end. */
export interface RunOptions<Result> {
  /** It goes between the steps of the run that the worker is in, which waits meanwhile. */
  readonly preempting: boolean;
  /** Its one item was in a run that failed: if the worker is lost now, the item may be why. */
  readonly poisonSuspect: boolean;
  /** Told of an item that is done while others of the run are not; `runMs` is the time since the run began. */
  settled(index: number, outcome: Outcome<Result>, runMs: number): void;
}

/** A worker as the lane sees it. One run at a time, and one that interrupts it. */
export interface Executor<Item, Result> {
  /**
   * `signals` are the items' own. Rejects with WORKER_LOST when the worker was lost in the run, with anything else when the
   * run failed as a whole; what was settled before holds all the same.
   */
  run(
    items: readonly Item[],
    signals: readonly AbortSignal[],
    runOptions: RunOptions<Result>,
  ): Promise<ExecutorAnswer<Result>>;
}

export interface ExecutorAnswer<Result> {
  /** One an item, in order; undefined: it was settled before. */
  readonly outcomes: readonly (Outcome<Result> | undefined)[];
  /** Measured where the model runs, waiting excluded. */
  readonly runMs: number;
}
