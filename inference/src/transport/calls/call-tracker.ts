/** Tracks all calls of all protocols: timeouts, cancellation, metrics, and the access log. */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once, setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { InferenceError } from '../../errors.js';
import { PRIORITIES, type Priority } from '../../priority.js';
import type { Call, CallStats } from '../../services/call.js';
import { type GrpcStatusName, toWireError, type WireError, withStatus } from '../../services/errors.js';
import { MAX_TIMER_MS } from './call-timeout.js';
import { peerOf } from './peer.js';

export type Protocol = 'grpc' | 'grpc-web' | 'connect' | 'openai';

/** A call as described by a transport. */
export interface Arrival {
  /** `heimdex.inference.v1.InferenceService/EmbedText`. */
  readonly path: string;
  readonly protocol: Protocol;
  /** Address and port. */
  readonly peer: string;
  /** Milliseconds until the deadline; Infinity: none. */
  readonly timeoutMs: number;
  /** Health: answered while draining, logged only when the request is invalid, and never traced. */
  readonly skipAccessLog: boolean;
  /** Of all headers, names and values: they are in memory until the call ends. */
  readonly headerBytes: number;
  header(name: string): string | undefined;
}

/** A finished call, for metrics and traces. */
export interface EndedCall extends Pick<Arrival, 'path' | 'protocol' | 'skipAccessLog'> {
  /** As in its log line. */
  readonly id: string;
  /** Name of its gRPC status. */
  readonly code: string;
  readonly seconds: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly stats: CallStats;
  /** The caller's trace context, not validated. */
  readonly traceparent: string | undefined;
}

export interface OpenCall {
  readonly call: Call;
  /** The caller is gone. No effect on a finished call. */
  cancel(): void;
  /** The server ends the call. No effect on a finished call. */
  stop(error: InferenceError): void;
  /**
   * Finishes the call; returns the error to send to the caller. Later calls have no effect. `status` is the protocol's
   * own, if it has one.
   */
  finish(error?: unknown, status?: GrpcStatusName): WireError | undefined;
}

/** The header with the id of a call's log line, of requests and answers. */
export const REQUEST_ID = 'x-request-id';
const USABLE_ID = /^[\w.:-]{1,128}$/;

export class CallTracker {
  readonly #log: Logger;
  readonly #ended: (call: EndedCall) => void;
  readonly #open = new Set<AbortController>();
  readonly #events = new EventEmitter();
  #draining = false;
  #busy = 0;

  /** `ended` is told of every call, health included. */
  constructor(log: Logger, ended: (call: EndedCall) => void = () => {}) {
    this.#log = log;
    this.#ended = ended;
  }

  /** Calls in progress, except health. */
  get busy(): number {
    return this.#busy;
  }

  /** New calls get DRAINING from now on. */
  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Resolves when no call is in progress, or when `signal` is aborted. */
  async idle(signal: AbortSignal): Promise<void> {
    if (this.#busy > 0) await once(this.#events, 'idle', { signal }).catch(() => {});
  }

  /** Ends all calls in progress with an error. */
  abort(error: InferenceError): void {
    for (const controller of this.#open) controller.abort(error);
  }

  open(arrival: Arrival): OpenCall {
    const startedAtMs = performance.now();
    const controller = new AbortController();
    // Each item of a batch listens to its call's signal; limits.max_batch_items bounds their number.
    setMaxListeners(0, controller.signal);
    const stats: CallStats = {};
    const id = requestIdOf(arrival.header(REQUEST_ID));
    const deadlineAtMs = startedAtMs + arrival.timeoutMs;
    // Beyond the longest timer. The queue still honours the deadline.
    const timer =
      arrival.timeoutMs <= MAX_TIMER_MS
        ? setTimeout(() => controller.abort(deadlineExceeded()), arrival.timeoutMs)
        : undefined;
    this.#open.add(controller);
    if (!arrival.skipAccessLog) this.#busy += 1;
    let finished = false;
    const wireError = (error: unknown): WireError => {
      const wire = toWireError(error);
      recordCause(stats, wire);
      if (wire.errorId !== undefined) {
        stats.errorId = wire.errorId;
        this.#log.error({ errorId: wire.errorId, call: id, path: arrival.path, err: error }, 'defect');
      }
      return wire;
    };
    return {
      call: {
        id,
        host: peerOf(arrival.peer.replace(/:\d+$/, '')),
        signal: controller.signal,
        deadlineAtMs,
        priority: priorityOf(arrival),
        stats,
        wireError,
      },
      cancel: () => {
        if (finished) return;
        const late = performance.now() >= deadlineAtMs;
        controller.abort(late ? deadlineExceeded() : cancelled());
      },
      stop: (error) => {
        if (!finished) controller.abort(error);
      },
      finish: (error, status) => {
        if (finished) return undefined;
        finished = true;
        clearTimeout(timer);
        this.#open.delete(controller);
        const own = error === undefined ? undefined : wireError(error);
        const wire = own !== undefined && status !== undefined ? withStatus(own, status) : own;
        const ms = performance.now() - startedAtMs;
        this.#observe(arrival, id, stats, wire, ms);
        // Of probes, only failed ones are logged.
        if (!arrival.skipAccessLog || wire?.reason === 'INVALID_ARGUMENT') this.#write(arrival, id, stats, wire, ms);
        if (!arrival.skipAccessLog) this.#leave();
        return wire;
      },
    };
  }

  /** A call refused at its start: counted and logged like any other; returns the error to send to the caller. */
  refuse(arrival: Arrival, error: InferenceError): WireError {
    const wire = toWireError(error);
    const stats: CallStats = {};
    recordCause(stats, wire);
    const id = requestIdOf(arrival.header(REQUEST_ID));
    this.#observe(arrival, id, stats, wire, 0);
    this.#write(arrival, id, stats, wire, 0);
    return wire;
  }

  #observe(arrival: Arrival, id: string, stats: CallStats, wire: WireError | undefined, ms: number): void {
    const { path, protocol, skipAccessLog } = arrival;
    const endedAt = Date.now();
    this.#ended({
      id,
      path,
      protocol,
      skipAccessLog,
      code: wire?.status ?? 'OK',
      seconds: ms / 1000,
      startedAt: endedAt - ms,
      endedAt,
      stats,
      traceparent: arrival.header('traceparent'),
    });
  }

  #leave(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#events.emit('idle');
  }

  #write(
    { path, protocol, peer }: Arrival,
    id: string,
    stats: CallStats,
    wire: WireError | undefined,
    ms: number,
  ): void {
    const fields = { call: id, path, protocol, peer, code: wire?.status ?? 'OK', ms: rounded(ms) };
    const failure = wire === undefined ? {} : { reason: wire.reason, error: wire.message };
    this.#log.info({ ...fields, ...failure, ...roundedStats(stats) }, 'call');
  }
}

/** Bounds the log line of a call with many failed items. */
const MAX_CAUSES = 3;

function recordCause(stats: CallStats, { cause }: WireError): void {
  const causes = stats.causes ?? [];
  if (cause === undefined || causes.includes(cause) || causes.length >= MAX_CAUSES) return;
  stats.causes = [...causes, cause];
}

/** The error of a call whose caller is gone. */
export function cancelled(): InferenceError {
  return new InferenceError('CANCELLED', 'The caller cancelled the call.');
}

/** The error of a call past its deadline. */
export function deadlineExceeded(): InferenceError {
  return new InferenceError('DEADLINE_EXCEEDED', 'The deadline passed before the answer was ready.');
}

/** The caller's `x-request-id` if it is usable, otherwise a new one. */
export function requestIdOf(given: string | undefined): string {
  return given !== undefined && USABLE_ID.test(given) ? given : randomUUID();
}

/** From `x-heimdex-priority`: anything but `bulk` is interactive. The first counts, and HTTP/1.1 joins several by commas. */
export function priorityOf(arrival: Arrival): Priority {
  const given = arrival.header('x-heimdex-priority')?.split(',', 1)[0]?.trim().toLowerCase();
  return PRIORITIES.find((priority) => priority === given) ?? 'interactive';
}

function roundedStats({ runs: _, ...stats }: CallStats): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(stats).map(([name, value]) => [name, typeof value === 'number' ? rounded(value) : value]),
  );
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
