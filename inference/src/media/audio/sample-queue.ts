/** A queue of samples, added as blocks and removed in any size. */
export class SampleQueue {
  #blocks: Float32Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  put(samples: Float32Array): void {
    if (samples.length === 0) return;
    this.#blocks.push(samples);
    this.#length += samples.length;
  }

  clear(): void {
    this.#blocks = [];
    this.#length = 0;
  }

  /** Removes and returns the first samples, at most `maxSamples`, as a copy. */
  take(maxSamples: number): Float32Array<ArrayBuffer> {
    const result = new Float32Array(Math.min(maxSamples, this.#length));
    let filled = 0;
    let used = 0;
    while (filled < result.length) {
      const block = this.#blocks[used];
      if (block === undefined) break;
      const part = block.subarray(0, result.length - filled);
      result.set(part, filled);
      filled += part.length;
      if (part.length === block.length) used++;
      else this.#blocks[used] = block.subarray(part.length);
    }
    this.#blocks.splice(0, used);
    this.#length -= filled;
    return result;
  }
}
