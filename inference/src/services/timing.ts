import type { RunFacts } from '../scheduling/job.js';
import type { Call } from './call.js';
import { roundTime } from './round-times.js';

/** Sums up the timing of a call over the runs of its items. */
export class CallTiming {
  readonly #runs = new Map<number, RunFacts>();
  #queueMs = 0;

  record(run: RunFacts): void {
    this.#queueMs = Math.max(this.#queueMs, run.queueMs);
    this.#runs.set(run.id, run);
  }

  /** Returns the contract's Timing and writes it into the call's stats. */
  finish(call: Call): Omit<RunFacts, 'id'> {
    const runs = [...this.#runs.values()];
    const timing = {
      queueMs: roundTime(this.#queueMs),
      runMs: roundTime(runs.reduce((sum, run) => sum + run.runMs, 0)),
      batchSize: runs.reduce((max, run) => Math.max(max, run.batchSize), 0),
    };
    Object.assign(call.stats, timing);
    return timing;
  }
}
