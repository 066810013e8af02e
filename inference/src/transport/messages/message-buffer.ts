/**
 * Assembles a message from its chunks. A large message is copied, as it arrives, into its own memory mapping: its many
 * small chunks would fragment the process's heap, which then never shrinks.
 *
 * The mapping grows in place within reserved addresses. V8 does not count it. V8 treats memory it does count as
 * pressure and marks its whole heap every 64 MiB, which blocks for a tenth of a second: forty large messages that began
 * together blocked the server for two seconds. So the bytes to collect are counted here, and idle-collection.ts
 * triggers the collection.
 */
import { MIB } from '@heimdex/common';

/** Flags and length: the prefix of a message of gRPC, gRPC-Web and Connect's streams. */
export const ENVELOPE_BYTES = 5;

/** Up to this size chunks are kept and concatenated at the end. */
const SMALL_BYTES = MIB;
/** Of chunks smaller than this on average no more than MAX_CHUNKS are kept: a caller may send byte by byte, and each chunk has an object. */
const MEAN_CHUNK_BYTES = 1024;
const MAX_CHUNKS = 16;
/** A chunk keeps the block in memory that it was read with: a smaller part of it than this is copied. */
const MIN_PART = 1 / 4;

let takenBytes = 0;

/** Bytes of all large messages ever returned. Their memory is freed when they are collected. */
export function takenMessageBytes(): number {
  return takenBytes;
}

export class MessageBuffer {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #memory: ArrayBuffer | undefined;
  #bytes = 0;

  /** `maxBytes` is the maximum that will be pushed. */
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
    if (this.#memory === undefined) this.#keep(chunk, bytes);
    else {
      this.#grow(bytes);
      this.#copy(chunk, this.#bytes);
    }
    this.#bytes = bytes;
  }

  /** Returns everything pushed. Call once. */
  take(): Buffer {
    const whole = this.#memory === undefined ? Buffer.concat(this.#chunks) : Buffer.from(this.#memory, 0, this.#bytes);
    if (this.#memory !== undefined) takenBytes += this.#bytes;
    this.#memory = undefined;
    this.clear();
    return whole;
  }

  /** Frees the memory at once, because no other code has seen it. */
  clear(): void {
    this.#memory?.resize(0);
    this.#memory = undefined;
    this.#chunks = [];
    this.#bytes = 0;
  }

  #keep(chunk: Uint8Array, bytes: number): void {
    this.#chunks.push(chunk.byteLength < chunk.buffer.byteLength * MIN_PART ? Buffer.from(chunk) : chunk);
    if (this.#chunks.length > MAX_CHUNKS + bytes / MEAN_CHUNK_BYTES) this.#chunks = [Buffer.concat(this.#chunks)];
  }

  /** Grows by doubling, because each step is a system call. Unwritten pages take no memory. */
  #grow(bytes: number): void {
    const memory = this.#memory;
    if (memory === undefined || bytes <= memory.byteLength) return;
    memory.resize(Math.min(memory.maxByteLength, Math.max(2 * SMALL_BYTES, Math.ceil(bytes * 1.5))));
  }

  /** Offset of the next one. */
  #copy(chunk: Uint8Array, at: number): number {
    if (this.#memory !== undefined) new Uint8Array(this.#memory, at, chunk.byteLength).set(chunk);
    return at + chunk.byteLength;
  }
}
