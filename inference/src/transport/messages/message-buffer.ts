/**
 * A message put together from its chunks. A large one is copied, as it comes, into memory that the system gives for it alone: the many
 * small chunks of large messages would be spread over the process's heap, which then stays large for ever. Pages of it that are not
 * written take no memory.
 */

/** Up to this, chunks are kept and joined at the end. */
const SMALL_BYTES = 1024 * 1024;
/** glibc never puts what is larger than 32 MiB on its heap (mallopt(3), M_MMAP_THRESHOLD): it goes back to the system when it is freed. */
export const OWN_PAGES_BYTES = 33 * 1024 * 1024;

export class MessageBuffer {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #whole: Buffer | undefined;
  #bytes = 0;

  /** `maxBytes` is the most that will be pushed. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    const bytes = this.#bytes + chunk.byteLength;
    if (this.#whole === undefined && bytes > SMALL_BYTES) {
      this.#whole = Buffer.allocUnsafeSlow(Math.max(this.#maxBytes, OWN_PAGES_BYTES));
      let at = 0;
      for (const kept of this.#chunks) {
        this.#whole.set(kept, at);
        at += kept.byteLength;
      }
      this.#chunks = [];
    }
    if (this.#whole === undefined) this.#chunks.push(chunk);
    else this.#whole.set(chunk, this.#bytes);
    this.#bytes = bytes;
  }

  /** All that was pushed. Once. */
  take(): Buffer {
    const whole = this.#whole?.subarray(0, this.#bytes) ?? Buffer.concat(this.#chunks);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#chunks = [];
    this.#whole = undefined;
    this.#bytes = 0;
  }
}
