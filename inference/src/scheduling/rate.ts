/** How fast a model works, measured: what the estimate of a wait is made from. Pure; times come from the caller. */

/** What a run still counts when the next one is noted; about the last 25 runs count. */
const KEPT = 0.96;

/** Cost over time of the latest runs. Both are summed, for the mean of their quotients would be faster than the model is. */
export class Rate {
  #cost = 0;
  #ms = 0;
  #runs = 0;

  /** Notes a run of `cost` (family's unit) that took `ms` of one worker. */
  note(cost: number, ms: number): void {
    this.#cost = this.#cost * KEPT + cost;
    this.#ms = this.#ms * KEPT + Math.max(ms, 0.05);
    this.#runs = this.#runs * KEPT + 1;
  }

  /** Mean time of a run; 0 before the first one. */
  get runMs(): number {
    return this.#runs === 0 ? 0 : this.#ms / this.#runs;
  }

  /** Milliseconds `cost` takes with `workers` workers; undefined before the first run. */
  estimateMs(cost: number, workers: number): number | undefined {
    if (this.#ms === 0) return undefined;
    return (cost / Math.max(1, workers)) * (this.#ms / this.#cost);
  }
}
