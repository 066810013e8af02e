import type { RunFacts } from '../scheduling/job.js';
import type { Call, CallStats } from './call.js';
import { roundTime } from './rounding.js';

/** The contract's Timing. */
export type Timing = Pick<RunFacts, 'queueMs' | 'runMs' | 'batchSize'>;

/** Sums up the timing of a call over the runs of its items, which its stats list, also if the call fails later. */
export class CallTiming {
  readonly #stats: CallStats;
  readonly #runs: Map<number, RunFacts>;

  constructor({ stats }: Pick<Call, 'stats'>) {
    stats.runs ??= new Map();
    this.#stats = stats;
    this.#runs = stats.runs;
  }

  /** Records the run of an item. A run that answers its items one after another took as long as the last of them. */
  record(run: RunFacts): void {
    const { queueMs, runMs } = this.#runs.get(run.id) ?? run;
    this.#runs.set(run.id, { ...run, queueMs: Math.max(queueMs, run.queueMs), runMs: Math.max(runMs, run.runMs) });
  }

  /** Returns the timing and writes it into the call's stats. */
  finish(): Timing {
    const runs = [...this.#runs.values()];
    const timing = {
      queueMs: roundTime(runs.reduce((max, run) => Math.max(max, run.queueMs), 0)),
      runMs: roundTime(runs.reduce((sum, run) => sum + run.runMs, 0)),
      batchSize: runs.reduce((max, run) => Math.max(max, run.batchSize), 0),
    };
    Object.assign(this.#stats, timing);
    return timing;
  }
}
