/**
 * The memory and the time that one call's request takes while it arrives, whatever the protocol. Memory is reserved ahead of what comes,
 * in proportion to what has come: a caller that announces 50 MB and sends nothing holds little.
 */
import { KIB } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import type { Intake, Source } from '../intake.js';
import type { MemoryPermits, Permit } from './memory-permits.js';

/** What a call holds whatever it sends: headers, buffers, the objects around it. */
export const CALL_BYTES = 16 * KIB;
/** Reserved of an announced body before any of it has come. */
const FIRST_BYTES = 64 * KIB;
/** Reserved over what has come. */
const AHEAD = 4;
/** A message exists twice while it is put together: in chunks and whole. */
const COPIES = 2;
const RETRY_MS = 1000;
/** Bytes a second that a body of unknown length must bring. */
const MIN_BYTES_PER_SECOND = 4 * KIB;

export interface BodyLimits {
  /** Largest message, as it arrives and unpacked. */
  readonly maxBytes: number;
  /** A body may take this long; at any time after `graceMs` the proportional part of it must be here. Infinity: as long as it likes. */
  readonly timeoutMs: number;
  readonly graceMs: number;
}

export interface IncomingBodyOptions {
  readonly permits: MemoryPermits;
  /** What the call holds; undefined: nothing is counted. */
  readonly permit: Permit | undefined;
  /** What the call holds at least. */
  readonly baseBytes: number;
  readonly limits: BodyLimits;
  readonly intake: Intake;
  /** Told once, when the body comes too slowly. */
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
    const { timeoutMs, graceMs } = options.limits;
    if (Number.isFinite(timeoutMs)) this.#timer = setInterval(() => this.#look(), graceMs / 2);
  }

  get maxBytes(): number {
    return this.#options.limits.maxBytes;
  }

  /** Says how long the message is that comes now. Throws MESSAGE_TOO_LARGE, or QUEUE_FULL where there is no room for it. */
  announce(bytes: number): void {
    const { permits, permit, limits } = this.#options;
    if (bytes > limits.maxBytes) throw tooLarge(bytes, limits.maxBytes);
    if (permit !== undefined && bytes * COPIES > permits.freeBytes + permit.bytes) throw noRoom();
    this.#announcedBytes = bytes;
    this.#receivedBytes = 0;
    this.#hold();
  }

  /** Counts bytes that have come. Throws as `announce` does. */
  receive(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > this.#options.limits.maxBytes) {
      throw tooLarge(this.#receivedBytes, this.#options.limits.maxBytes);
    }
    this.#hold();
  }

  /** Lets others have their turn after these bytes of the source, which goes on by itself. */
  pace(bytes: number, source: Source): void {
    this.#options.intake.take(bytes, source);
  }

  /** Counts bytes that came out of a decompressor. Throws as `announce` does. */
  unpack(bytes: number): void {
    this.#unpackedBytes += bytes;
    const { maxBytes } = this.#options.limits;
    if (this.#unpackedBytes > maxBytes) {
      throw new InferenceError(
        'MESSAGE_TOO_LARGE',
        `The message unpacks to more than ${maxBytes} bytes, the largest this server takes. ${INSTEAD}`,
      );
    }
    this.#hold();
  }

  /** A message is whole: it is held in its own size until `forget`. */
  keep(bytes: number): void {
    this.#keptBytes += bytes;
    this.#announcedBytes = undefined;
    this.#receivedBytes = 0;
    this.#unpackedBytes = 0;
    this.#hold();
  }

  /** A message of this size is used up. */
  forget(bytes: number): void {
    this.#keptBytes = Math.max(0, this.#keptBytes - bytes);
    this.#hold();
  }

  /** Counts bytes of earlier messages that are still in memory. Throws as `announce` does. */
  retain(bytes: number): void {
    const { totalBytes } = this.#options.permits;
    if (bytes > totalBytes) {
      throw new InferenceError(
        'MESSAGE_TOO_LARGE',
        `This audio needs more than the ${totalBytes} bytes of memory for requests before it can be decoded. Write the file with its ` +
          'index first (ffmpeg -movflags +faststart), or let the client read the file: it sends only the audio track.',
      );
    }
    this.#retainedBytes = bytes;
    this.#hold();
  }

  /** Nothing more comes: the time limit is over. Idempotent. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hold(): void {
    const { permits, permit, baseBytes } = this.#options;
    const received = this.#receivedBytes;
    const arriving =
      this.#announcedBytes === undefined
        ? received
        : Math.min(this.#announcedBytes, Math.max(FIRST_BYTES, AHEAD * received));
    const needed = Math.max(
      baseBytes,
      COPIES * (arriving + this.#unpackedBytes) + this.#keptBytes + this.#retainedBytes,
    );
    if (permit === undefined || permit.resize(needed)) return;
    if (needed > permits.totalBytes) throw tooLarge(received + this.#unpackedBytes, permits.totalBytes / COPIES);
    throw noRoom();
  }

  /** Two looks in a row must find it late: after a stall of this process what has come is not counted yet. */
  #look(): void {
    const elapsedMs = performance.now() - this.#startedAtMs;
    const { timeoutMs, graceMs } = this.#options.limits;
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

const INSTEAD = 'Send less a call; a long audio file goes through TranscribeStream.';

function tooLarge(bytes: number, maxBytes: number): InferenceError {
  const message = `The message has ${bytes} bytes or more; the largest this server takes has ${Math.floor(maxBytes)}. ${INSTEAD}`;
  return new InferenceError('MESSAGE_TOO_LARGE', message);
}

/** The error of a call for which there is no memory now. */
export function noRoom(): InferenceError {
  const message = 'The server holds as many requests as its memory allows. Come back later.';
  return new InferenceError('QUEUE_FULL', message, { retryAfterMs: RETRY_MS });
}
