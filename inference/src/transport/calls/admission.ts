/**
 * Whether a call may come in: one function, asked by every protocol when the headers have come and before the body is read. In this
 * order, so that who may not call learns nothing of the load, and what is free to decide comes before what holds something:
 *
 * 1. its token (UNAUTHENTICATED),
 * 2. whether the server is shutting down (DRAINING),
 * 3. its deadline (DEADLINE_EXCEEDED),
 * 4. the queues of the models it may go to (QUEUE_FULL),
 * 5. memory: a permit for what every call takes (QUEUE_FULL). The body takes more as it comes; incoming-body.ts counts it.
 *
 * Health passes all of them: whatever the load, probes are answered. Its messages are small.
 */
import { KIB, MIB } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import type { Tokens } from '../auth/tokens.js';
import { Intake } from '../intake.js';
import { type Arrival, type CallTracker, deadlineExceeded, type OpenCall } from './call-tracker.js';
import { CALL_BYTES, IncomingBody, noRoom } from './incoming-body.js';
import { MemoryPermits, type Permit } from './memory-permits.js';

/** The part of all memory, and the most, that requests may hold. */
const MEMORY_PART = 0.25;
const MAX_REQUEST_BYTES = 1024 * MIB;
/** What the largest message takes: itself, and its chunks while it is put together. */
const PER_MESSAGE_BYTE = 2;
/** Of health and reflection. */
const MAX_SMALL_BYTES = 64 * KIB;
/** What a stream may send before it is read (flow-window.ts): held as long as it is open. */
export const STREAM_BYTES = 512 * KIB;
/** A call of one request must have sent it whole within this: 64 MiB in two minutes is 4 Mbit/s. */
export const REQUEST_TIMEOUT_MS = 120_000;
/** Before this, nobody is late. */
const REQUEST_GRACE_MS = 10_000;
/** While no call at all has been let in for this long, health says so. */
const FULL_MS = 10_000;
const LOOK_EVERY_MS = 1000;

/** Bytes that requests may hold together, of `limitBytes` for the server and its workers. */
export function requestMemoryBytes(limitBytes: number): number {
  return Math.floor(Math.min(limitBytes * MEMORY_PART, MAX_REQUEST_BYTES));
}

/** The largest message that can be taken when nothing else is held: what is set, or less where memory is short. */
export function largestMessageBytes(settingBytes: number, memoryBytes: number): number {
  return Math.min(settingBytes, Math.floor((memoryBytes - CALL_BYTES) / PER_MESSAGE_BYTE));
}

export interface CallAdmissionOptions {
  readonly callTracker: CallTracker;
  /** Undefined: everybody may. */
  readonly tokens: Tokens | undefined;
  /** Bytes that all calls may hold together. */
  readonly memoryBytes: number;
  readonly maxMessageBytes: number;
  /** Why a call of this path would be refused whatever it asks, or undefined. */
  overload(path: string): InferenceError | undefined;
  /** Told why no call is let in, once that lasts; undefined: they are again. */
  refusing(reason: string | undefined): void;
  readonly requestTimeoutMs?: number;
  readonly requestGraceMs?: number;
  readonly fullMs?: number;
}

/** A request that arrives. */
export interface Incoming {
  readonly body: IncomingBody;
  /** The request is used up; its answer of this many bytes is on its way and held until `close`. */
  answer(bytes: number): void;
  /** Gives everything back. Idempotent. */
  close(): void;
}

/** A call that was let in. */
export interface AdmittedCall extends Incoming {
  readonly open: OpenCall;
}

export interface Manner {
  /** Messages come one after another, each used up before the next is asked for. */
  readonly streaming: boolean;
  /** Its messages are some names. */
  readonly small?: boolean;
}

export class CallAdmission {
  readonly #options: CallAdmissionOptions;
  readonly #permits: MemoryPermits;
  readonly #intake = new Intake();
  #looking: NodeJS.Timeout | undefined;

  constructor(options: CallAdmissionOptions) {
    this.#options = options;
    this.#permits = new MemoryPermits(options.memoryBytes);
  }

  /** Bytes that requests hold now. */
  get heldBytes(): number {
    return this.#permits.heldBytes;
  }

  /** Lets a call in and opens it at the desk, or throws why not. The caller finishes the call and closes this. */
  admit(arrival: Arrival, manner: Manner): AdmittedCall {
    const permit = this.#check(arrival, manner);
    const open = this.#options.callTracker.open(arrival);
    const incoming = this.#incoming(permit, { ...manner, small: arrival.skipAccessLog }, (error) => open.stop(error));
    const call = { ...open.call, retain: (bytes: number) => incoming.body.retain(bytes) };
    return { ...incoming, open: { ...open, call } };
  }

  /** The same for a call that the desk does not follow: reflection. It may take as long as it likes. */
  receive(arrival: Arrival, manner: Manner): Incoming {
    return this.#incoming(this.#check(arrival, manner), manner, () => {});
  }

  /** Undefined for what holds none. */
  #check(arrival: Arrival, { streaming }: Manner): Permit | undefined {
    const { callTracker, tokens, overload } = this.#options;
    if (arrival.skipAccessLog) return undefined;
    if (tokens?.allow(arrival.header('authorization')) === false) {
      throw new InferenceError(
        'UNAUTHENTICATED',
        'Expected `authorization: Bearer <token>` with a token of this server.',
      );
    }
    if (callTracker.draining) throw new InferenceError('DRAINING', 'The server is shutting down; ask another one.');
    if (arrival.timeoutMs <= 0) throw deadlineExceeded();
    const refusal = overload(arrival.path);
    if (refusal !== undefined) throw refusal;
    const permit = this.#permits.acquire(streaming ? STREAM_BYTES : CALL_BYTES);
    if (permit !== undefined) return permit;
    this.#watch();
    throw noRoom();
  }

  close(): void {
    clearInterval(this.#looking);
  }

  #incoming(
    permit: Permit | undefined,
    { streaming, small = false }: Manner,
    late: (error: InferenceError) => void,
  ): Incoming {
    const { maxMessageBytes, requestTimeoutMs = REQUEST_TIMEOUT_MS, requestGraceMs = REQUEST_GRACE_MS } = this.#options;
    const body = new IncomingBody({
      permits: this.#permits,
      permit,
      baseBytes: streaming ? STREAM_BYTES : CALL_BYTES,
      intake: this.#intake,
      limits: {
        maxBytes: small ? Math.min(MAX_SMALL_BYTES, maxMessageBytes) : maxMessageBytes,
        timeoutMs: streaming ? Number.POSITIVE_INFINITY : requestTimeoutMs,
        graceMs: requestGraceMs,
      },
      late,
    });
    return {
      body,
      answer: (bytes) => {
        body.end();
        permit?.force(CALL_BYTES + bytes);
      },
      close: () => {
        body.end();
        permit?.release();
      },
    };
  }

  /** Looks, after a call was refused for want of memory, how long that lasts for the smallest one. */
  #watch(): void {
    if (this.#looking !== undefined || this.#permits.freeBytes >= CALL_BYTES) return;
    const { fullMs = FULL_MS } = this.#options;
    const sinceMs = performance.now();
    let told = false;
    this.#looking = setInterval(
      () => {
        if (this.#permits.freeBytes >= CALL_BYTES) {
          clearInterval(this.#looking);
          this.#looking = undefined;
          if (told) this.#options.refusing(undefined);
        } else if (!told && performance.now() - sinceMs >= fullMs) {
          told = true;
          const { heldBytes, totalBytes } = this.#permits;
          const reason = `no memory for requests: calls hold ${Math.ceil(heldBytes / MIB)} of ${Math.floor(totalBytes / MIB)} MiB`;
          this.#options.refusing(reason);
        }
      },
      Math.min(fullMs, LOOK_EVERY_MS),
    );
    this.#looking.unref();
  }
}
