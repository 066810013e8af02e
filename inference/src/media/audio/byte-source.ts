import { joinBytes } from '../bytes.js';

/** Maximum size of a chunk. */
const MAX_CHUNK_BYTES = 65_536;
/** Smaller chunks are joined up to this size: single bytes from a caller must not each cost a thread round trip. */
const MIN_CHUNK_BYTES = 512;

/** The bytes of an audio file in chunks of bounded size, read from the content only on demand. */
export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array> | undefined;
  #rest: Uint8Array;
  #unread: Uint8Array | undefined;
  #ended: boolean;

  constructor(content: Uint8Array | AsyncIterable<Uint8Array>) {
    const whole = content instanceof Uint8Array;
    this.#rest = whole ? plain(content) : new Uint8Array(0);
    this.#ended = whole;
    this.#iterator = whole ? undefined : content[Symbol.asyncIterator]();
  }

  /** Returns the next chunk; undefined at the end. Rejects with the error of the content's iterator. */
  async next(): Promise<Uint8Array | undefined> {
    const unread = this.#unread;
    this.#unread = undefined;
    if (unread !== undefined && unread.length > 0) return unread;
    while (this.#rest.length < MIN_CHUNK_BYTES && !this.#ended) {
      const step = await this.#iterator?.next();
      if (step === undefined || step.done === true) this.#ended = true;
      else this.#rest = this.#rest.length === 0 ? plain(step.value) : joinBytes(this.#rest, step.value);
    }
    if (this.#rest.length === 0) return undefined;
    const chunk = this.#rest.subarray(0, MAX_CHUNK_BYTES);
    this.#rest = this.#rest.subarray(chunk.length);
    return chunk;
  }

  /** Pushes back the chunk that `next` returned; it is returned again. */
  unread(bytes: Uint8Array): void {
    this.#unread = bytes;
  }

  /** Ends the content's iterator. Does not wait for it: it may be blocked in a read. */
  close(): void {
    this.#rest = new Uint8Array(0);
    this.#unread = undefined;
    if (this.#ended) return;
    this.#ended = true;
    this.#iterator?.return?.().catch(() => undefined);
  }
}

/** Converts a Buffer to a plain Uint8Array, whose `slice` copies. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
