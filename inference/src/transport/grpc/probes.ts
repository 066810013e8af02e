import { constants, type ServerHttp2Stream } from 'node:http2';

/** Maximum open health calls, except running watches. Each takes 16 KiB. */
const MAX_PROBES = 4096;

/**
 * The streams of health calls. They hold no permits, so that they are answered under any load. Instead the oldest is ended for a new one:
 * one that is sent, answered and read ends within milliseconds.
 */
export class Probes {
  readonly #streams = new Set<ServerHttp2Stream>();

  add(stream: ServerHttp2Stream): void {
    const [oldest] = this.#streams;
    if (oldest !== undefined && this.#streams.size >= MAX_PROBES) {
      this.#streams.delete(oldest);
      oldest.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
  }

  /** The stream is that of a running watch, whose number the service limits. */
  delete(stream: ServerHttp2Stream): void {
    this.#streams.delete(stream);
  }
}
