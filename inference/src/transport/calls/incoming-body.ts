/**
 * Memory and time of a call's arriving request, for all protocols. Memory is reserved in proportion to what has
 * arrived: a caller that announces 50 MB and sends nothing holds little.
 */
import { KIB } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import { ONLY_AUDIO_ADVICE } from '../../media/audio/formats.js';
import type { Intake, Source } from './intake.js';
import type { MemoryPermits, Permit } from './memory-permits.js';

/** Fixed memory of a call: buffers, objects. */
export const CALL_BYTES = 16 * KIB;
/** Reserved for an announced body before any of it arrives. */
const FIRST_BYTES = 64 * KIB;
/** Reserved ahead of what has arrived. */
const AHEAD = 4;
/** While assembled, a message exists twice: in chunks and whole. */
const COPIES = 2;
/** Minimum bytes per second of a body of unknown length. */
const MIN_BYTES_PER_SECOND = 4 * KIB;

export interface IncomingBodyOptions {
  readonly permits: MemoryPermits;
  /** The call's permits; undefined: not counted. */
  readonly permit: Permit | undefined;
  /** Of the call's headers. */
  readonly headerBytes: number;
  /** The call's minimum besides them. */
  readonly baseBytes: number;
  /** Maximum message size, compressed and decompressed. */
  readonly maxBytes: number;
  /** Time limit of the body; after `graceMs` a proportional part must have arrived at any time. Infinity: none. */
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly intake: Intake;
  /** Returns QUEUE_FULL, and counts it as a refusal. */
  outOfMemory(): InferenceError;
  /** Called once when the body arrives too slowly. */
  late(error: InferenceError): void;
}

export class IncomingBody {
  readonly #options: IncomingBodyOptions;
  readonly #startedAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #lateLooks = 0;
  #announcedBytes: number | undefined;
  #receivedBytes = 0;
  #unpackedBytes = 0;
  #keptBytes = 0;
  #retainedBytes = 0;

  constructor(options: IncomingBodyOptions) {
    this.#options = options;
    const { timeoutMs, graceMs } = options;
    if (Number.isFinite(timeoutMs)) this.#timer = setInterval(() => this.#look(), graceMs / 2);
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  /**
   * Announces the length of the next message. Throws MESSAGE_TOO_LARGE, or QUEUE_FULL when there is no memory for it.
   */
  announce(bytes: number): void {
    const { permit, maxBytes } = this.#options;
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
    if (permit !== undefined && bytes * COPIES > permit.freeBytes + permit.bytes) throw this.#options.outOfMemory();
    this.#announcedBytes = bytes;
    this.#receivedBytes = 0;
    this.#hold();
  }

  /** Counts received bytes. Throws like `announce`. */
  receive(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > this.maxBytes) throw tooLarge(this.#receivedBytes, this.maxBytes);
    this.#hold();
  }

  /** Yields to other requests after these bytes of the source, which resumes automatically. */
  pace(bytes: number, source: Source): void {
    this.#options.intake.take(bytes, source);
  }

  /** Counts decompressed bytes. Throws like `announce`. */
  unpack(bytes: number): void {
    this.#unpackedBytes += bytes;
    const { maxBytes } = this.#options;
    if (this.#unpackedBytes > maxBytes) {
      throw new InferenceError(
        'MESSAGE_TOO_LARGE',
        `The message is larger than the limit of ${maxBytes} bytes after decompression. ${INSTEAD}`,
      );
    }
    this.#hold();
  }

  /** A message is complete: its own size is held until `forget`. */
  keep(bytes: number): void {
    this.#keptBytes += bytes;
    this.#announcedBytes = undefined;
    this.#receivedBytes = 0;
    this.#unpackedBytes = 0;
    this.#hold();
  }

  /** A message of this size has been consumed. */
  forget(bytes: number): void {
    this.#keptBytes = Math.max(0, this.#keptBytes - bytes);
    this.#hold();
  }

  /** Counts bytes of earlier messages that are still in memory. Throws as `announce` does. */
  retain(bytes: number): void {
    const { totalBytes } = this.#options.permits;
    if (bytes > totalBytes) throw indexTooFar(totalBytes);
    this.#retainedBytes = bytes;
    this.#hold();
  }

  /** Nothing more arrives: stops the time limit. Idempotent. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hold(): void {
    const { permits, permit, headerBytes, baseBytes } = this.#options;
    const received = this.#receivedBytes;
    const arriving =
      this.#announcedBytes === undefined
        ? received
        : Math.min(this.#announcedBytes, Math.max(FIRST_BYTES, AHEAD * received));
    const message = COPIES * (arriving + this.#unpackedBytes) + this.#keptBytes + this.#retainedBytes;
    const needed = headerBytes + Math.max(baseBytes, message);
    if (permit === undefined || permit.resize(needed)) return;
    if (needed > permits.totalBytes && this.#retainedBytes > received) throw indexTooFar(permits.totalBytes);
    if (needed > permits.totalBytes) throw tooLarge(received + this.#unpackedBytes, permits.totalBytes / COPIES);
    throw this.#options.outOfMemory();
  }

  /** Two checks in a row must find it late: after a stall of this process, received data is not counted yet. */
  #look(): void {
    const elapsedMs = performance.now() - this.#startedAtMs;
    const { timeoutMs, graceMs } = this.#options;
    const part = (elapsedMs - graceMs) / Math.max(1, timeoutMs - graceMs);
    const due =
      this.#announcedBytes === undefined
        ? ((elapsedMs - graceMs) / 1000) * MIN_BYTES_PER_SECOND
        : this.#announcedBytes * part;
    const late = elapsedMs >= graceMs && (this.#receivedBytes < due || elapsedMs >= timeoutMs);
    this.#lateLooks = late ? this.#lateLooks + 1 : 0;
    if (this.#lateLooks < 2) return;
    this.end();
    const came = this.#announcedBytes === undefined ? '' : ` of ${this.#announcedBytes}`;
    const message = `The request arrives too slowly: ${this.#receivedBytes}${came} bytes in ${Math.round(elapsedMs / 1000)} s.`;
    this.#options.late(new InferenceError('DEADLINE_EXCEEDED', message));
  }
}

const INSTEAD = 'Send less per call; a long audio file goes through TranscribeStream.';

function tooLarge(bytes: number, maxBytes: number): InferenceError {
  const message = `The message has ${bytes} bytes or more; the largest this server takes has ${Math.floor(maxBytes)}. ${INSTEAD}`;
  return new InferenceError('MESSAGE_TOO_LARGE', message);
}

function indexTooFar(totalBytes: number): InferenceError {
  return new InferenceError(
    'MESSAGE_TOO_LARGE',
    `This audio needs more than the ${totalBytes} bytes of memory for requests before it can be decoded. Write the file with its ` +
      `index first (ffmpeg -movflags +faststart), ${ONLY_AUDIO_ADVICE}.`,
  );
}
