/**
 * Whether a stream of gRPC messages ended with a whole one. grpc-js forgets what is left of a message when its caller says that this
 * was all, so that a recording cut off on its way would look like one that ended there.
 */
import type { ServerHttp2Stream } from 'node:http2';

/** Compressed or not, and the length of the message: what stands before each. */
const HEAD_BYTES = 5;

/** Follows the messages in the bytes of a stream; keeps none of them. */
export class FrameEnds {
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #missingBytes = 0;

  /** Whether nothing is begun and not ended. */
  get whole(): boolean {
    return this.#headBytes === 0;
  }

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
      }
      const taken = Math.min(this.#missingBytes, bytes.byteLength - at);
      this.#missingBytes -= taken;
      at += taken;
      if (this.#missingBytes === 0) this.#headBytes = 0;
    }
  }
}

/** Of the calls in progress, by their metadata: the one thing that an interceptor and a handler of grpc-js both have. */
const watched = new WeakMap<object, FrameEnds>();

/** Follows the messages of a call of grpc-js; nothing where there is no stream in it. */
export function watchFrames(call: object, metadata: object): void {
  const { stream } = call as { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) return;
  const ends = new FrameEnds();
  watched.set(metadata, ends);
  // grpc-js has paused the stream: listening does not make it flow.
  stream.on('data', (bytes: Uint8Array) => ends.push(bytes));
}

/** Whether all that a call has sent so far are whole messages; true where nobody followed it. */
export function endsWhole(metadata: object): boolean {
  return watched.get(metadata)?.whole ?? true;
}
