/**
 * Finds messages in the bytes of a stream of gRPC, gRPC-Web or Connect: reports each length before the message arrives, and whether the stream
 * ended with a complete message. Replaces grpc-js's decoder, which keeps chunks until a message is complete and
 * silently drops an incomplete one at the end: truncated audio would look complete.
 */
import { InferenceError } from '../../errors.js';
import type { IncomingBody } from '../calls/incoming-body.js';
import { ENVELOPE_BYTES, MessageBuffer } from './message-buffer.js';

type CountedBody = Pick<IncomingBody, 'announce' | 'receive'>;

export class FrameDecoder {
  readonly #body: CountedBody;
  readonly #head = Buffer.alloc(ENVELOPE_BYTES);
  #headBytes = 0;
  #missingBytes = 0;
  #message = new MessageBuffer(0);

  /** `body` is told of each message that begins, and of what arrives of it. */
  constructor(body: CountedBody) {
    this.#body = body;
  }

  /** Whether no message is incomplete. */
  get whole(): boolean {
    return this.#headBytes === 0;
  }

  /** Drops an incomplete message: no more of it arrives. */
  clear(): void {
    this.#message.clear();
  }

  /** The messages that these bytes complete, each after its five-byte prefix. Rethrows the body's errors. */
  write(bytes: Uint8Array): Buffer[] {
    const messages: Buffer[] = [];
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#headBytes < ENVELOPE_BYTES) {
        const taken = bytes.subarray(at, at + ENVELOPE_BYTES - this.#headBytes);
        this.#head.set(taken, this.#headBytes);
        this.#headBytes += taken.byteLength;
        at += taken.byteLength;
        if (this.#headBytes < ENVELOPE_BYTES) return messages;
        this.#missingBytes = this.#head.readUInt32BE(1);
        this.#body.announce(this.#missingBytes);
        this.#message = new MessageBuffer(ENVELOPE_BYTES + this.#missingBytes);
        this.#message.push(Buffer.from(this.#head));
      }
      const taken = bytes.subarray(at, at + this.#missingBytes);
      this.#missingBytes -= taken.byteLength;
      at += taken.byteLength;
      this.#body.receive(taken.byteLength);
      this.#message.push(taken);
      if (this.#missingBytes > 0) continue;
      messages.push(this.#message.take());
      this.#headBytes = 0;
    }
    return messages;
  }
}

/** The errors of a request that is to be one message. */
export function cutShort(): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', 'Expected one whole message; the request ended before it.');
}

export function severalMessages(): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', 'Expected exactly one message in the request.');
}
