/**
 * Decides whether to admit a call. Every protocol calls this after the headers and before reading the body. The order
 * keeps load information from unauthorized callers, and makes free checks before those that acquire something:
 *
 * 1. token (UNAUTHENTICATED),
 * 2. draining (DRAINING),
 * 3. deadline (DEADLINE_EXCEEDED),
 * 4. queues of the models it may use (QUEUE_FULL),
 * 5. memory: a permit for a call's fixed part (QUEUE_FULL). The body acquires more as it arrives; see incoming-body.ts.
 *
 * Health checks pass all of them, so probes are answered under any load. Their messages are small; open-streams.ts limits their number. Only one
 * with headers larger than those of a probe needs the permit.
 */
import { KIB, MIB } from '@heimdex/common';
import { InferenceError, serverDraining } from '../../errors.js';
import type { Priority } from '../../priority.js';
import type { Tokens } from '../auth/tokens.js';
import { type Arrival, type CallTracker, deadlineExceeded, type OpenCall, priorityOf } from './call-tracker.js';
import { CALL_BYTES, IncomingBody } from './incoming-body.js';
import { Intake } from './intake.js';
import { MemoryPermits, type Permit } from './memory-permits.js';

/** Fraction of all memory, and maximum, that requests may hold. */
const MEMORY_PART = 0.25;
const MAX_REQUEST_BYTES = 1024 * MIB;
/** Memory for the largest message: the message and its chunks while it is assembled. */
const PER_MESSAGE_BYTE = 2;
/** A message of health and reflection, and the headers of health that need no permit. */
const MAX_SMALL_BYTES = 4 * KIB;
/** What a stream may send before it is read (grpc/http2-server.ts); held while it is open. */
export const STREAM_BYTES = 512 * KIB;
/** A unary request must arrive within this time: 64 MiB in two minutes is 4 Mbit/s. */
export const REQUEST_TIMEOUT_MS = 120_000;
/** Timeout of a response that is not read. */
export const UNREAD_MS = 120_000;
/** No request is late before this. */
const REQUEST_GRACE_MS = 10_000;
/** Health reports it when no call at all was admitted for this long. */
const FULL_MS = 10_000;
const CHECK_INTERVAL_MS = 1000;
/** RetryInfo delay of a call without memory. */
const RETRY_MS = 1000;

/** Bytes that all requests together may hold, given `limitBytes` for the server and its workers. */
export function requestMemoryBytes(limitBytes: number): number {
  return Math.floor(Math.min(limitBytes * MEMORY_PART, MAX_REQUEST_BYTES));
}

/** The largest message accepted when nothing else is held: the configured limit, or less where memory is short. */
export function largestMessageBytes(settingBytes: number, memoryBytes: number): number {
  return Math.min(settingBytes, Math.floor((memoryBytes - CALL_BYTES) / PER_MESSAGE_BYTE));
}

export interface CallAdmissionOptions {
  readonly callTracker: CallTracker;
  /** Undefined: no authentication. */
  readonly tokens: Tokens | undefined;
  /** Bytes that all calls may hold together. */
  readonly memoryBytes: number;
  readonly maxMessageBytes: number;
  /** Called for each call that is refused for lack of memory. */
  refused?(priority: Priority): void;
  /** Why any call of this path and priority would be refused, or undefined. */
  overload(path: string, priority: Priority): InferenceError | undefined;
  /**
   * Called with the reason when calls have been refused for a while, and with undefined when they are admitted again.
   */
  refusing(reason: string | undefined): void;
  readonly requestTimeoutMs?: number;
  readonly requestGraceMs?: number;
  readonly fullMs?: number;
}

/** A request that arrives. */
export interface Incoming {
  readonly body: IncomingBody;
  /** The request has been consumed. Its response of this many bytes is being sent and is held until `close`. */
  answer(bytes: number): void;
  /** Releases everything. Idempotent. */
  close(): void;
}

/** An admitted call. */
export interface AdmittedCall extends Incoming {
  readonly open: OpenCall;
}

export interface CallKind {
  /** Messages arrive one after another; each is consumed before the next is requested. */
  readonly streaming: boolean;
  /** Its messages are short names. */
  readonly small?: boolean;
}

export class CallAdmission {
  readonly #options: CallAdmissionOptions;
  readonly #permits: MemoryPermits;
  readonly #intake = new Intake();
  #checkTimer: NodeJS.Timeout | undefined;

  constructor(options: CallAdmissionOptions) {
    this.#options = options;
    this.#permits = new MemoryPermits(options.memoryBytes);
  }

  /** Bytes that requests hold now. */
  get heldBytes(): number {
    return this.#permits.heldBytes;
  }

  /**
   * Admits a call and registers it with the tracker, or throws the reason. The caller finishes the call and closes
   * this.
   */
  admit(arrival: Arrival, kind: CallKind): AdmittedCall {
    const permit = this.#check(arrival, kind);
    const open = this.#options.callTracker.open(arrival);
    const incoming = this.#incoming(permit, arrival, { ...kind, small: arrival.skipAccessLog }, open.stop);
    const call = { ...open.call, retain: (bytes: number) => incoming.body.retain(bytes) };
    return { ...incoming, open: { ...open, call } };
  }

  /** Like `admit`, for an untracked call (reflection), whose time the caller limits. */
  receive(arrival: Arrival, kind: CallKind): Incoming {
    return this.#incoming(this.#check(arrival, kind), arrival, kind, () => {});
  }

  /** Undefined for a call without permits. */
  #check(arrival: Arrival, kind: CallKind): Permit | undefined {
    const { callTracker, tokens, overload } = this.#options;
    if (arrival.skipAccessLog) return arrival.headerBytes > MAX_SMALL_BYTES ? this.#acquire(arrival, kind) : undefined;
    if (tokens?.allow(arrival.header('authorization')) === false) {
      throw new InferenceError(
        'UNAUTHENTICATED',
        'Expected `authorization: Bearer <token>` with a token of this server.',
      );
    }
    if (callTracker.draining) throw serverDraining();
    if (arrival.timeoutMs <= 0) throw deadlineExceeded();
    const refusal = overload(arrival.path, priorityOf(arrival));
    if (refusal !== undefined) throw refusal;
    return this.#acquire(arrival, kind);
  }

  #acquire(arrival: Arrival, kind: CallKind): Permit {
    const priority = priorityOf(arrival);
    const permit = this.#permits.acquire(arrival.headerBytes + baseBytes(kind), priority);
    if (permit === undefined) throw this.#outOfMemory(priority);
    return permit;
  }

  #outOfMemory(priority: Priority): InferenceError {
    this.#watch();
    this.#options.refused?.(priority);
    const message = "The server's request memory is full. Retry later.";
    return new InferenceError('QUEUE_FULL', message, { retryAfterMs: RETRY_MS });
  }

  close(): void {
    clearInterval(this.#checkTimer);
  }

  #incoming(
    permit: Permit | undefined,
    arrival: Arrival,
    kind: CallKind,
    late: (error: InferenceError) => void,
  ): Incoming {
    const { headerBytes } = arrival;
    const { streaming, small = false } = kind;
    const { maxMessageBytes, requestTimeoutMs = REQUEST_TIMEOUT_MS, requestGraceMs = REQUEST_GRACE_MS } = this.#options;
    const body = new IncomingBody({
      permits: this.#permits,
      permit,
      headerBytes,
      baseBytes: baseBytes(kind),
      intake: this.#intake,
      maxBytes: small ? Math.min(MAX_SMALL_BYTES, maxMessageBytes) : maxMessageBytes,
      timeoutMs: streaming ? Number.POSITIVE_INFINITY : requestTimeoutMs,
      graceMs: requestGraceMs,
      outOfMemory: () => this.#outOfMemory(priorityOf(arrival)),
      late,
    });
    return {
      body,
      answer: (bytes) => {
        body.end();
        permit?.force(headerBytes + CALL_BYTES + bytes);
      },
      close: () => {
        body.end();
        permit?.release();
      },
    };
  }

  /** After a call was refused for lack of memory, checks how long that lasts for the smallest call. */
  #watch(): void {
    if (this.#checkTimer !== undefined || this.#permits.freeBytes >= CALL_BYTES) return;
    const { fullMs = FULL_MS } = this.#options;
    const sinceMs = performance.now();
    let told = false;
    this.#checkTimer = setInterval(
      () => {
        if (this.#permits.freeBytes >= CALL_BYTES) {
          clearInterval(this.#checkTimer);
          this.#checkTimer = undefined;
          if (told) this.#options.refusing(undefined);
        } else if (!told && performance.now() - sinceMs >= fullMs) {
          told = true;
          const { heldBytes, totalBytes } = this.#permits;
          const reason = `no memory for requests: calls hold ${Math.ceil(heldBytes / MIB)} of ${Math.floor(totalBytes / MIB)} MiB`;
          this.#options.refusing(reason);
        }
      },
      Math.min(fullMs, CHECK_INTERVAL_MS),
    );
    this.#checkTimer.unref();
  }
}

/** The least that a call holds. A stream of short names is read at once. */
function baseBytes({ streaming, small = false }: CallKind): number {
  return streaming && !small ? STREAM_BYTES : CALL_BYTES;
}
