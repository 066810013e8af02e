/**
 * The messages in the bytes of a gRPC stream: how long each says it is, before it has come, and whether the stream ended with a whole
 * one. It takes the place of grpc-js's own decoder, which keeps the chunks of a message until it is whole, and forgets what is left of
 * one when its caller says that this was all: an audio file cut off on its way would look like one that ended there.
 */
import { MessageBuffer } from '../messages/message-buffer.js';

/** Compressed or not, and the length of the message: what stands before each. */
const HEAD_BYTES = 5;

export interface FrameObserver {
  /** A message of this length begins. */
  began(bytes: number): void;
  /** So much of the message has come. */
  received(bytes: number): void;
}

export class FrameDecoder {
  readonly #observer: FrameObserver;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #missingBytes = 0;
  #message = new MessageBuffer(0);

  constructor(observer: FrameObserver) {
    this.#observer = observer;
  }

  /** Whether nothing is begun and not ended. */
  get whole(): boolean {
    return this.#headBytes === 0;
  }

  /** Gives up what has come of a message: no more of it comes. */
  clear(): void {
    this.#message.clear();
  }

  /** The messages that these bytes complete, each behind its five bytes. Throws what the observer throws. */
  write(bytes: Uint8Array): Buffer[] {
    const messages: Buffer[] = [];
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#headBytes < HEAD_BYTES) {
        const taken = bytes.subarray(at, at + HEAD_BYTES - this.#headBytes);
        this.#head.set(taken, this.#headBytes);
        this.#headBytes += taken.byteLength;
        at += taken.byteLength;
        if (this.#headBytes < HEAD_BYTES) return messages;
        this.#missingBytes = this.#head.readUInt32BE(1);
        this.#observer.began(this.#missingBytes);
        this.#message = new MessageBuffer(HEAD_BYTES + this.#missingBytes);
        this.#message.push(Buffer.from(this.#head));
      }
      const taken = bytes.subarray(at, at + this.#missingBytes);
      this.#missingBytes -= taken.byteLength;
      at += taken.byteLength;
      this.#observer.received(taken.byteLength);
      this.#message.push(taken);
      if (this.#missingBytes > 0) continue;
      messages.push(this.#message.take());
      this.#headBytes = 0;
    }
    return messages;
  }
}
