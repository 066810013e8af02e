/** The measured throughput of a model, from which waits are estimated. Pure; the caller measures the time. */

/** Exponential decay per run: about the last 25 runs count. */
const DECAY = 0.96;
/** A run that takes more than this multiple of its expected time ... */
const PAUSED_FACTOR = 10;
/** ... and more than this time was paused, as with the machine or the container: the rest says nothing about the next runs. */
const PAUSED_MS = 5000;

/** Cost per time of the latest runs. Cost and time are summed separately: the mean of the quotients would overestimate. */
export class Rate {
  #cost = 0;
  #ms = 0;
  #runs = 0;

  /** Records a run of `cost` (in the family's unit) that took one worker `ms`. */
  record(cost: number, ms: number): void {
    const expectedMs = this.estimateMs(cost, 1) ?? Number.POSITIVE_INFINITY;
    // Nothing was expected of the first run: how slow it was the second one shows.
    if (this.#runs === 1 && expectedMs > PAUSED_FACTOR * ms) this.#cost = this.#ms = this.#runs = 0;
    const maxMs = Math.max(PAUSED_MS, PAUSED_FACTOR * expectedMs);
    this.#cost = this.#cost * DECAY + cost;
    this.#ms = this.#ms * DECAY + Math.min(Math.max(ms, 0.05), maxMs);
    this.#runs = this.#runs * DECAY + 1;
  }

  /** Mean run time in milliseconds; 0 before the first run. */
  get runMs(): number {
    return this.#runs === 0 ? 0 : this.#ms / this.#runs;
  }

  /** Returns the milliseconds that `cost` takes on `workers` workers; undefined before the first run. */
  estimateMs(cost: number, workers: number): number | undefined {
    if (this.#ms === 0) return undefined;
    return (cost / Math.max(1, workers)) * (this.#ms / this.#cost);
  }
}
