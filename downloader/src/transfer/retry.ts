import { setTimeout as delay } from 'node:timers/promises';

/** How often and how patiently something is tried again. */
export interface RetryPolicy {
  /** Attempts in a row that may fail without a byte of progress, the first included. */
  readonly attempts: number;
  /** The first pause; each further one is up to twice as long. */
  readonly baseMs: number;
  /** No pause of our own choosing is longer. */
  readonly maxMs: number;
  /** A server may ask for a longer pause by Retry-After, up to this. */
  readonly maxRetryAfterMs: number;
  /** A number in [0, 1), for the jitter. */
  readonly random: () => number;
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
  const grown = Math.min(policy.maxMs, policy.baseMs * 2 ** (failures - 1));
  if (retryAfterMs === undefined) return grown / 2 + (policy.random() * grown) / 2;
  return Math.min(retryAfterMs, policy.maxRetryAfterMs) + policy.random() * policy.baseMs;
}

/** Reads a Retry-After header: seconds, or an HTTP date compared with `nowMs`. Undefined when there is none or it is unreadable. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** What a retried piece of work may tell. */
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
    try {
      return await work({ number, progressed });
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      signal.throwIfAborted();
      failures += 1;
      if (failures >= policy.attempts) throw error.final;
      const pause = pauseMs(policy, failures, error.retryAfterMs);
      onRetry({ error: error.final, failures, pauseMs: pause });
      await delay(pause, undefined, { signal });
    }
  }
}
