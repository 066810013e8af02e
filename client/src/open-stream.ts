import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  type TranscribeStart,
  type TranscribeStreamRequest,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { InferenceClientError } from './errors.js';
import { abortable } from './wait.js';

/** Audio in chunks of any size, cut anywhere. */
export type AudioChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Larger chunks are cut, so that a huge one meets no message limit and back-pressure works. */
const CHUNK_BYTES = 64 * 1024;

/** One open TranscribeStream call: sends the start and the chunks in the background, hands out the answers. */
export class OpenStream {
  readonly #stream: ClientDuplexStream<TranscribeStreamRequest, TranscribeStreamResponse>;
  readonly #answers: AsyncIterator<TranscribeStreamResponse>;
  readonly #silenceMs: number;
  /** How long it may be silent now: until its first answer it may be less. */
  #allowedMs: number;
  readonly #signal: AbortSignal;
  readonly #stopped = new AbortController();
  readonly #cancel = () => this.#stream.cancel();
  #silence: NodeJS.Timeout | undefined;
  #failure: InferenceClientError | undefined;

  /**
   * @param silence how long the server may stay silent while it has audio to work on, and how long before its first answer
   * @param signal gives the call up
   */
  constructor(
    stream: ClientDuplexStream<TranscribeStreamRequest, TranscribeStreamResponse>,
    start: TranscribeStart,
    chunks: AudioChunks,
    silence: { readonly ms: number; readonly firstMs: number },
    signal: AbortSignal,
  ) {
    this.#stream = stream;
    this.#answers = stream[Symbol.asyncIterator]();
    this.#silenceMs = silence.ms;
    this.#allowedMs = silence.firstMs;
    this.#signal = signal;
    stream.on('error', () => undefined); // next() tells it; after the last next() nobody asks.
    signal.addEventListener('abort', this.#cancel, { once: true });
    void this.#send(start, iteratorOf(chunks));
  }

  /**
   * The next answer; undefined at the end. After it has rejected the call is over.
   *
   * @throws gRPC's ServiceError; InferenceClientError when the audio could not be read or the server fell silent
   */
  async next(): Promise<TranscribeStreamResponse | undefined> {
    try {
      const { done, value } = await this.#answers.next();
      this.#listen();
      return done === true ? undefined : value;
    } catch (thrown) {
      this.end();
      throw this.#failure ?? thrown;
    }
  }

  /** Ends the call, whatever is still on the way. Idempotent. */
  end(): void {
    clearTimeout(this.#silence);
    this.#signal.removeEventListener('abort', this.#cancel);
    this.#stopped.abort();
    this.#stream.cancel();
  }

  async #send(start: TranscribeStart, chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>): Promise<void> {
    try {
      await this.#write({ case: 'start', value: start });
      for (let chunk = await this.#read(chunks); chunk !== undefined; chunk = await this.#read(chunks)) {
        for (let at = 0; at < chunk.byteLength; at += CHUNK_BYTES) {
          await this.#write({ case: 'audio', value: chunk.subarray(at, at + CHUNK_BYTES) });
        }
      }
      this.#stream.end();
    } catch {
      if (!this.#stopped.signal.aborted) this.#cancel();
      void Promise.resolve(chunks.return?.()).catch(() => undefined);
    }
  }

  /** The next chunk. While the source has none, the server owes nothing. */
  async #read(chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>): Promise<Uint8Array | undefined> {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    try {
      const { done, value } = await abortable(Promise.resolve(chunks.next()), this.#stopped.signal);
      return done === true ? undefined : value;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.#failure ??= new InferenceClientError('CANCELLED', `the audio could not be read: ${why}`, {
        reason: 'SOURCE_FAILED',
        cause,
      });
      throw cause;
    } finally {
      if (!this.#stopped.signal.aborted) this.#expect();
    }
  }

  async #write(message: TranscribeStreamRequest['message']): Promise<void> {
    const { signal } = this.#stopped;
    signal.throwIfAborted();
    if (!this.#stream.write(create(TranscribeStreamRequestSchema, { message }))) {
      await once(this.#stream, 'drain', { signal });
    }
  }

  /** Starts to wait for the server. */
  #expect(): void {
    this.#silence ??= setTimeout(() => {
      this.#failure = new InferenceClientError(
        'DEADLINE_EXCEEDED',
        `TranscribeStream got no answer for ${this.#silenceMs / 1000} s`,
        { reason: 'TIMEOUT' },
      );
      this.#cancel();
    }, this.#allowedMs);
  }

  /** The server has spoken: what it owes is counted anew. */
  #listen(): void {
    this.#allowedMs = this.#silenceMs;
    if (this.#silence === undefined) return;
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#expect();
  }
}

function iteratorOf(chunks: AudioChunks): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
}
