import { once } from 'node:events';
import { types } from 'node:util';
import { create } from '@bufbuild/protobuf';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { messageOf } from '@heimdex/common';
import {
  type TranscribeStart,
  type TranscribeStreamRequest,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { wrongType } from './arguments.js';
import { createError, InferenceClientError } from './errors.js';
import { abortable, cancelSoon, onAbort } from './wait.js';

/** Audio in chunks of any size, split anywhere. */
export type AudioChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | WebStream;

/** A ReadableStream, such as the body of a request: asynchronously iterable, as TypeScript 5 knows only with the library DOM.AsyncIterable. */
interface WebStream {
  getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> };
}

type ChunkIterator = AsyncIterator<Uint8Array> | Iterator<Uint8Array>;

/** Larger chunks are split, to stay below message limits and to keep back-pressure effective. */
const CHUNK_BYTES = 64 * 1024;

/** One open TranscribeStream call: sends the start message and the chunks in the background and returns the responses. */
export class OpenStream {
  readonly #stream: ClientDuplexStream<TranscribeStreamRequest, TranscribeStreamResponse>;
  readonly #answers: AsyncIterator<TranscribeStreamResponse>;
  readonly #idleTimeoutMs: number;
  /** The idle timeout in force; it may be shorter until the first response. */
  #currentTimeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #stopped = new AbortController();
  readonly #cancel = () => cancelSoon(this.#stream);
  #idleTimer: NodeJS.Timeout | undefined;
  #failure: InferenceClientError | undefined;

  /**
   * @param idleTimeout `ms`: how long the server may send nothing while it has audio to process; `firstMs`: the same
   * until its first response
   * @param signal cancels the call
   */
  constructor(
    stream: ClientDuplexStream<TranscribeStreamRequest, TranscribeStreamResponse>,
    start: TranscribeStart,
    audio: AudioChunks | (() => AudioChunks),
    idleTimeout: { readonly ms: number; readonly firstMs: number },
    signal: AbortSignal,
  ) {
    this.#stream = stream;
    this.#answers = stream[Symbol.asyncIterator]();
    this.#idleTimeoutMs = idleTimeout.ms;
    this.#currentTimeoutMs = idleTimeout.firstMs;
    this.#signal = signal;
    stream.on('error', () => undefined); // next() reports it; after the last next() it is irrelevant.
    onAbort(signal, this.#cancel);
    void this.#send(start, audio);
  }

  /**
   * Returns the next response, or undefined at the end. A rejection ends the call.
   * Throws gRPC's ServiceError; InferenceClientError when the audio could not be read or the idle timeout expired.
   */
  async next(): Promise<TranscribeStreamResponse | undefined> {
    try {
      const { done, value } = await this.#answers.next();
      this.#onResponse();
      return done === true ? undefined : value;
    } catch (thrown) {
      this.end();
      throw this.#failure ?? thrown;
    }
  }

  /** Ends the call and drops what is in flight. Idempotent. */
  end(): void {
    clearTimeout(this.#idleTimer);
    this.#signal.removeEventListener('abort', this.#cancel);
    this.#stopped.abort();
    this.#cancel();
  }

  async #send(start: TranscribeStart, audio: AudioChunks | (() => AudioChunks)): Promise<void> {
    let chunks: ChunkIterator | undefined;
    try {
      chunks = this.#open(audio);
      await this.#write({ case: 'start', value: start });
      for (let chunk = await this.#read(chunks); chunk !== undefined; chunk = await this.#read(chunks)) {
        for (let at = 0; at < chunk.byteLength; at += CHUNK_BYTES) {
          // Copied, as gRPC serializes it only when those before are sent, and the source may use its buffer again.
          await this.#write({ case: 'audio', value: Buffer.from(chunk.subarray(at, at + CHUNK_BYTES)) });
        }
      }
      this.#stream.end();
    } catch {
      if (!this.#stopped.signal.aborted) this.#cancel();
      void Promise.resolve(chunks?.return?.()).catch(() => undefined);
    }
  }

  /** Opens the audio of one attempt. Throws if that fails, or if it is neither an iterable nor a function of one. */
  #open(audio: AudioChunks | (() => AudioChunks)): ChunkIterator {
    try {
      const chunks = (typeof audio === 'function' ? audio() : audio) as Partial<
        AsyncIterable<Uint8Array> & Iterable<Uint8Array>
      >;
      const iterator = chunks?.[Symbol.asyncIterator]?.() ?? chunks?.[Symbol.iterator]?.();
      if (iterator !== undefined) return iterator;
      throw wrongType('audio', 'an iterable of Uint8Arrays, or a function that returns one', chunks);
    } catch (cause) {
      this.#failure = sourceFailed(cause);
      throw cause;
    }
  }

  /** Returns the next chunk. The idle timer is stopped while the source has none. */
  async #read(chunks: ChunkIterator): Promise<Uint8Array | undefined> {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    try {
      const { done, value } = await abortable(Promise.resolve(chunks.next()), this.#stopped.signal);
      if (done === true) return undefined;
      if (!types.isUint8Array(value))
        throw wrongType('audio', 'in chunks that are Uint8Arrays, such as Buffers', value);
      return value;
    } catch (cause) {
      this.#failure ??= sourceFailed(cause);
      throw cause;
    } finally {
      if (!this.#stopped.signal.aborted) this.#startIdleTimer();
    }
  }

  async #write(message: TranscribeStreamRequest['message']): Promise<void> {
    const { signal } = this.#stopped;
    signal.throwIfAborted();
    if (!this.#stream.write(create(TranscribeStreamRequestSchema, { message }))) {
      await once(this.#stream, 'drain', { signal });
    }
  }

  #startIdleTimer(): void {
    this.#idleTimer ??= setTimeout(() => {
      this.#failure = createError(
        'DEADLINE_EXCEEDED',
        `TranscribeStream got no response for ${this.#idleTimeoutMs / 1000} s`,
        { reason: 'TIMEOUT' },
      );
      this.#cancel();
    }, this.#currentTimeoutMs);
  }

  /** Restarts the idle timer. */
  #onResponse(): void {
    this.#currentTimeoutMs = this.#idleTimeoutMs;
    if (this.#idleTimer === undefined) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#startIdleTimer();
  }
}

function sourceFailed(cause: unknown): InferenceClientError {
  if (cause instanceof InferenceClientError) return cause;
  const message = `the audio could not be read: ${messageOf(cause)}`;
  return createError('CANCELLED', message, { reason: 'SOURCE_FAILED', cause });
}
