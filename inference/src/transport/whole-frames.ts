/**
 * Where messages begin and end in the bytes of a gRPC stream: how long each says it is, before it has come, and whether the stream ended
 * with a whole one. grpc-js forgets what is left of a message when its caller says that this was all, so that a recording cut off on its
 * way would look like one that ended there.
 */

/** Compressed or not, and the length of the message: what stands before each. */
const HEAD_BYTES = 5;

export interface FrameObserver {
  /** A message of this length begins. */
  began(bytes: number): void;
  /** So much of the message has come. */
  received(bytes: number): void;
}

/** Follows the messages in the bytes of a stream; keeps none of them. */
export class FrameEnds {
  readonly #observer: FrameObserver;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #missingBytes = 0;

  constructor(observer: FrameObserver) {
    this.#observer = observer;
  }

  /** Whether nothing is begun and not ended. */
  get whole(): boolean {
    return this.#headBytes === 0;
  }

  /** Throws what the observer throws. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#headBytes < HEAD_BYTES) {
        const taken = bytes.subarray(at, at + HEAD_BYTES - this.#headBytes);
        this.#head.set(taken, this.#headBytes);
        this.#headBytes += taken.byteLength;
        at += taken.byteLength;
        if (this.#headBytes < HEAD_BYTES) return;
        this.#missingBytes = this.#head.readUInt32BE(1);
        this.#observer.began(this.#missingBytes);
      }
      const taken = Math.min(this.#missingBytes, bytes.byteLength - at);
      this.#missingBytes -= taken;
      at += taken;
      this.#observer.received(taken);
      if (this.#missingBytes === 0) this.#headBytes = 0;
    }
  }
}
