import { joinBytes } from './decoders/samples.js';

/** The largest part handed on at once. */
const PART_BYTES = 65_536;
/** Smaller ones are joined up to this: a caller who sends single bytes costs no exchange with a thread for each. */
const PART_MIN_BYTES = 512;

/** An audio file's bytes in parts of bounded size, taken from where they come only as they are asked for. */
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

  /** The next part; undefined at the end. Rejects with what the content's own iterator rejects with. */
  async next(): Promise<Uint8Array | undefined> {
    const unread = this.#unread;
    this.#unread = undefined;
    if (unread !== undefined && unread.length > 0) return unread;
    while (this.#rest.length < PART_MIN_BYTES && !this.#ended) {
      const step = await this.#iterator?.next();
      if (step === undefined || step.done === true) this.#ended = true;
      else this.#rest = this.#rest.length === 0 ? plain(step.value) : joinBytes(this.#rest, step.value);
    }
    if (this.#rest.length === 0) return undefined;
    const part = this.#rest.subarray(0, PART_BYTES);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Puts back what `next` gave; it comes again, before the rest. */
  unread(bytes: Uint8Array): void {
    this.#unread = bytes;
  }

  /** Tells an iterator that no more is wanted. Does not wait for it: it may be in the middle of a read. */
  close(): void {
    this.#rest = new Uint8Array(0);
    this.#unread = undefined;
    if (this.#ended) return;
    this.#ended = true;
    this.#iterator?.return?.().catch(() => undefined);
  }
}

/** Without what Buffer does differently: its `slice` copies nothing. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
