/** Bytes a second over the last seconds, from samples with their times. A pure value holder: the clock is the caller's. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  #totalBytes = 0;

  /** @param windowMs How far back the rate looks. Default 5 s. */
  constructor(windowMs = 5_000) {
    this.#windowMs = windowMs;
  }

  /** All bytes so far. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Counts bytes that came at a time. */
  add(bytes: number, atMs: number): void {
    this.#totalBytes += bytes;
    const last = this.#samples.at(-1);
    // Samples closer than 100 ms are one: thousands of chunks a second would cost more than they tell.
    if (last !== undefined && atMs - last.atMs < 100) {
      this.#samples[this.#samples.length - 1] = { atMs: last.atMs, bytes: last.bytes + bytes };
    } else {
      this.#samples.push({ atMs, bytes });
    }
    this.#forget(atMs);
  }

  /** Bytes a second at a time; undefined before there is anything to measure. */
  rate(atMs: number): number | undefined {
    this.#forget(atMs);
    const [first] = this.#samples;
    if (first === undefined) return undefined;
    const bytes = this.#samples.reduce((total, sample) => total + sample.bytes, 0);
    return (bytes * 1000) / Math.max(250, atMs - first.atMs);
  }

  #forget(atMs: number): void {
    while (this.#samples[0] !== undefined && this.#samples[0].atMs < atMs - this.#windowMs) this.#samples.shift();
  }
}
