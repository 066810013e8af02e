import type { RunFacts } from '../scheduling/job.js';
import type { Call } from './call.js';

/** Gathers where the time of one call went, over the runs its items were in. */
export class CallTiming {
  readonly #runs = new Map<number, RunFacts>();
  #queueMs = 0;

  note(run: RunFacts): void {
    this.#queueMs = Math.max(this.#queueMs, run.queueMs);
    this.#runs.set(run.id, run);
  }

  /** The contract's Timing; it is written into the call's notes as well. */
  finish(call: Call): { queueMs: number; runMs: number; batchSize: number } {
    const runs = [...this.#runs.values()];
    const timing = {
      queueMs: this.#queueMs,
      runMs: runs.reduce((sum, run) => sum + run.runMs, 0),
      batchSize: runs.reduce((most, run) => Math.max(most, run.batchSize), 0),
    };
    Object.assign(call.stats, timing);
    return timing;
  }
}
