/** Bytes per second over a sliding window, from timestamped samples. Pure: the caller provides the clock. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  #totalBytes = 0;

  /** @param windowMs Length of the window. Default 5 s. */
  constructor(windowMs = 5_000) {
    this.#windowMs = windowMs;
  }

  /** Total bytes so far. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Adds bytes received at a time. */
  add(bytes: number, atMs: number): void {
    this.#totalBytes += bytes;
    const last = this.#samples.at(-1);
    // Samples closer than 100 ms are merged: thousands of chunks per second would cost more than they are worth.
    if (last !== undefined && atMs - last.atMs < 100) {
      this.#samples[this.#samples.length - 1] = { atMs: last.atMs, bytes: last.bytes + bytes };
    } else {
      this.#samples.push({ atMs, bytes });
    }
    this.#forget(atMs);
  }

  /** Returns bytes per second at a time; undefined before the first sample. */
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
