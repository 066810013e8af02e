import { setTimeout as delay } from 'node:timers/promises';
import { exponentialDelayMs } from '@heimdex/common';

/** How often and how patiently something is tried again. */
export interface RetryPolicy {
  /** Attempts in a row that may fail without a byte of progress, the first included. */
  readonly attempts: number;
  /** The first pause; each further one is up to twice as long. */
  readonly baseMs: number;
  /** No pause of our own choosing is longer. */
  readonly maxMs: number;
  /** A server may ask for a longer pause by Retry-After or RateLimit, up to this. */
  readonly maxRetryAfterMs: number;
  /** A number in [0, 1), for the jitter. */
  readonly random: () => number;
  /** Whether anybody was reached yet. Absent: it makes no difference. */
  readonly contact?: FirstContact;
}

/** What the system says when nobody was reached: no such name, nobody listens, no way there. */
const UNREACHED_CODES = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ECONNREFUSED',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
]);

/** Whether a system error's code says that nobody was reached. */
export function isUnreached(code: string | undefined): boolean {
  return code !== undefined && UNREACHED_CODES.has(code);
}

/** From the first request on, how long somebody may be tried to be reached by a run that has reached nobody yet. */
const FIRST_CONTACT_MS = 2_000;

/**
 * What a run knows of the network. Where no name is found, every connection refused and no route there from the start, there
 * is no network, or its settings are wrong, and a minute of retries would only keep that from the person who waits. Once
 * anybody has answered, the same failures are an outage that passes, and are retried as configured.
 */
export class FirstContact {
  #made = false;
  #sinceMs: number | undefined;

  /** Somebody is asked. */
  asked(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  /** Somebody answered. */
  made(): void {
    this.#made = true;
  }

  /** Milliseconds that are left for further attempts once nobody was reached; Infinity once anybody was. */
  leftMs(nowMs: number): number {
    if (this.#made || this.#sinceMs === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#sinceMs + FIRST_CONTACT_MS - nowMs);
  }
}

/** The program's policy; the number of attempts and the first pause are settable. */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 8,
  baseMs: 500,
  maxMs: 30_000,
  maxRetryAfterMs: 600_000,
  random: Math.random,
};

/** A failure that may pass: a broken connection, a stall, a busy server. Carries what to say if it does not. */
export class TransientError extends Error {
  override readonly name = 'TransientError';

  constructor(
    /** What it becomes once the attempts are used up. */
    readonly final: Error,
    /** The pause the server asked for. */
    readonly retryAfterMs?: number,
    /** Nobody was reached at all: see FirstContact. */
    readonly unreached = false,
  ) {
    super(final.message, { cause: final });
  }
}

/**
 * The pause before the next attempt. "Equal jitter": half of an exponentially growing pause is fixed and half random,
 * so that many clients spread out and none comes back at once. A server's own wish is obeyed, plus a little jitter.
 *
 * @param failures - Failures in a row so far, 1 or more.
 */
export function pauseMs(policy: RetryPolicy, failures: number, retryAfterMs?: number): number {
  const grown = exponentialDelayMs(failures, policy.baseMs, policy.maxMs);
  if (retryAfterMs === undefined) return grown / 2 + (policy.random() * grown) / 2;
  return Math.min(retryAfterMs, policy.maxRetryAfterMs) + policy.random() * policy.baseMs;
}

/** What a retried part of work may tell. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** Says that bytes came: earlier failures are forgotten, for a connection that moves on is worth keeping. */
  progressed(): void;
}

/** A failure that will be tried again. */
export interface RetryNotice {
  readonly error: Error;
  readonly failures: number;
  readonly pauseMs: number;
}

/**
 * Runs `work` until it succeeds, fails for good (any error but TransientError), or has failed `policy.attempts` times
 * without progress; then the TransientError's `final` is thrown.
 *
 * @throws AbortError when `signal` fires, also during a pause.
 */
export async function withRetries<T>(
  work: (attempt: Attempt) => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal,
  onRetry: (notice: RetryNotice) => void = () => {},
): Promise<T> {
  let failures = 0;
  for (let number = 1; ; number += 1) {
    signal.throwIfAborted();
    const progressed = () => {
      failures = 0;
    };
    policy.contact?.asked(performance.now());
    try {
      const result = await work({ number, progressed });
      policy.contact?.made();
      return result;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      signal.throwIfAborted();
      failures += 1;
      if (failures >= policy.attempts) throw error.final;
      const leftMs = error.unreached
        ? (policy.contact?.leftMs(performance.now()) ?? Number.POSITIVE_INFINITY)
        : Number.POSITIVE_INFINITY;
      if (leftMs === 0) throw error.final;
      const pause = Math.min(leftMs, pauseMs(policy, failures, error.retryAfterMs));
      onRetry({ error: error.final, failures, pauseMs: pause });
      await delay(pause, undefined, { signal });
    }
  }
}
