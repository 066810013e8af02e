/**
 * A message put together from its chunks. A large one is copied, as it comes, into memory that the system gives for it alone: the many
 * small chunks of large messages would be spread over the process's heap, which then stays large for ever.
 *
 * That memory grows in place, within addresses set aside for the whole. V8 does not count such memory. It takes what it does count for
 * pressure, and marks all of its heap for every 64 MiB, a tenth of a second in which nobody is answered: forty large messages that begin
 * together held the server up for two seconds. So what is to be collected is counted here, and idle-collection.ts sees to it.
 */

/** Up to this, chunks are kept and joined at the end. */
const SMALL_BYTES = 1024 * 1024;

let takenBytes = 0;

/** Bytes of all large messages that were ever given out: their memory comes back when they are collected. */
export function takenMessageBytes(): number {
  return takenBytes;
}

export class MessageBuffer {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #memory: ArrayBuffer | undefined;
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
    if (this.#memory === undefined && bytes > SMALL_BYTES) {
      this.#memory = new ArrayBuffer(0, { maxByteLength: Math.max(this.#maxBytes, bytes) });
      this.#grow(bytes);
      let at = 0;
      for (const kept of this.#chunks) at = this.#copy(kept, at);
      this.#chunks = [];
    }
    if (this.#memory === undefined) this.#chunks.push(chunk);
    else {
      this.#grow(bytes);
      this.#copy(chunk, this.#bytes);
    }
    this.#bytes = bytes;
  }

  /** All that was pushed. Once. */
  take(): Buffer {
    const whole = this.#memory === undefined ? Buffer.concat(this.#chunks) : Buffer.from(this.#memory, 0, this.#bytes);
    if (this.#memory !== undefined) takenBytes += this.#bytes;
    this.#memory = undefined;
    this.clear();
    return whole;
  }

  /** Gives everything back at once: nobody else has seen it. */
  clear(): void {
    this.#memory?.resize(0);
    this.#memory = undefined;
    this.#chunks = [];
    this.#bytes = 0;
  }

  /** By halves: each step is a call of the system. Pages that are not written take no memory. */
  #grow(bytes: number): void {
    const memory = this.#memory;
    if (memory === undefined || bytes <= memory.byteLength) return;
    memory.resize(Math.min(memory.maxByteLength, Math.max(2 * SMALL_BYTES, Math.ceil(bytes * 1.5))));
  }

  /** Where the next one goes. */
  #copy(chunk: Uint8Array, at: number): number {
    if (this.#memory !== undefined) new Uint8Array(this.#memory, at, chunk.byteLength).set(chunk);
    return at + chunk.byteLength;
  }
}
