import type { RunFacts } from '../scheduling/job.js';
import type { Call, CallStats } from './call.js';
import { roundTime } from './round-times.js';

/** The contract's Timing. */
export type Timing = Pick<RunFacts, 'queueMs' | 'runMs' | 'batchSize'>;

/** Sums up the timing of a call over the runs of its items, which its stats list, also if the call fails later. */
export class CallTiming {
  readonly #stats: CallStats;
  readonly #runs = new Map<number, RunFacts>();
  #queueMs = 0;

  constructor({ stats }: Pick<Call, 'stats'>) {
    this.#stats = stats;
    stats.runs ??= new Map();
  }

  record(run: RunFacts): void {
    this.#queueMs = Math.max(this.#queueMs, run.queueMs);
    this.#runs.set(run.id, run);
    this.#stats.runs?.set(run.id, run);
  }

  /** Returns the timing and writes it into the call's stats. */
  finish(): Timing {
    const runs = [...this.#runs.values()];
    const timing = {
      queueMs: roundTime(this.#queueMs),
      runMs: roundTime(runs.reduce((sum, run) => sum + run.runMs, 0)),
      batchSize: runs.reduce((max, run) => Math.max(max, run.batchSize), 0),
    };
    Object.assign(this.#stats, timing);
    return timing;
  }
}
