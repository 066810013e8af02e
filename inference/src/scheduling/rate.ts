/** How fast a model works, measured: what the estimate of a wait is made from. Pure; times come from the caller. */

/** Weight of the newest run; about the last ten runs count. */
const NEWEST_WEIGHT = 0.2;

export class Rate {
  #costPerMs: number | undefined;

  /** Notes a run of `cost` (family's unit) that took `ms` of one worker. */
  note(cost: number, ms: number): void {
    const measured = cost / Math.max(ms, 0.05);
    this.#costPerMs =
      this.#costPerMs === undefined ? measured : measured * NEWEST_WEIGHT + this.#costPerMs * (1 - NEWEST_WEIGHT);
  }

  /** Milliseconds `cost` takes with `workers` workers; undefined before the first run. */
  estimateMs(cost: number, workers: number): number | undefined {
    if (this.#costPerMs === undefined) return undefined;
    return cost / (this.#costPerMs * Math.max(1, workers));
  }
}
