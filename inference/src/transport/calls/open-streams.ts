import { constants, type ServerHttp2Stream } from 'node:http2';

/** Maximum open health calls, except running watches. Each takes 16 KiB. */
export const MAX_PROBES = 4096;

/**
 * Streams of HTTP/2 that hold no permits, so that they are answered under any load. Instead the oldest is ended for a new one: one that is
 * sent, answered and read ends within milliseconds.
 */
export class OpenStreams {
  readonly #max: number;
  readonly #streams = new Set<ServerHttp2Stream>();

  constructor(max: number) {
    this.#max = max;
  }

  add(stream: ServerHttp2Stream): void {
    const [oldest] = this.#streams;
    if (oldest !== undefined && this.#streams.size >= this.#max) {
      this.#streams.delete(oldest);
      oldest.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
  }

  /** The stream is limited otherwise: by permits, or as a running watch by the service. */
  delete(stream: ServerHttp2Stream): void {
    this.#streams.delete(stream);
  }
}
