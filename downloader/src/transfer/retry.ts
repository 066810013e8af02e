import { setTimeout as delay } from 'node:timers/promises';
import { exponentialDelayMs, formatTimeLeft } from '@heimdex/common';
import type { NetworkState } from './network-state.js';

/** Retry limits and delays. */
export interface RetryOptions {
  /** Consecutive attempts that may fail without a byte of progress, the first included. */
  readonly maxAttempts: number;
  /** Upper bound of the first delay, in milliseconds; it doubles with each failure. */
  readonly initialDelayMs: number;
  /** Maximum delay, in milliseconds, unless the server requests a longer one. */
  readonly maxDelayMs: number;
  /** Maximum delay that a server may request with Retry-After or RateLimit. */
  readonly maxRetryAfterMs: number;
  /** Returns a number in [0, 1), for the jitter. */
  readonly random: () => number;
  /** What the run knows of the network. Absent: it makes no difference. */
  readonly network?: NetworkState;
}

/** Returns whether a status is worth a retry. Those of proxies that reach no server have numbers of their own (Cloudflare: 520 to 530). */
export function mayPass(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status < 600);
}

/** The defaults of {@link RetryOptions}; `maxAttempts` and `initialDelayMs` are configurable. */
export const DEFAULT_RETRY: RetryOptions = {
  maxAttempts: 8,
  initialDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 600_000,
  random: Math.random,
};

/** A failure that may pass: a broken connection, a stall, a busy server. Contains the error to report if it does not. */
export class TransientError extends Error {
  override readonly name = 'TransientError';

  constructor(
    /** The error to throw once the attempts are used up. */
    readonly final: Error,
    /** The delay requested by the server. */
    readonly retryAfterMs?: number,
    /** `unreached`: no host was reached, see NetworkState. `busy`: the server answered that it has too many requests or connections. */
    readonly kind?: 'unreached' | 'busy',
  ) {
    super(final.message, { cause: final });
  }
}

/**
 * Returns the delay before the next attempt. "Equal jitter": half of an exponentially growing delay is fixed and half random,
 * so that clients spread out and none retries immediately. A delay requested by the server is obeyed, plus a little jitter.
 *
 * @param failures - Consecutive failures so far, 1 or more.
 */
export function retryDelayMs(options: RetryOptions, failures: number, retryAfterMs?: number): number {
  const grown = exponentialDelayMs(failures, options.initialDelayMs, options.maxDelayMs);
  if (retryAfterMs === undefined) return grown / 2 + (options.random() * grown) / 2;
  return Math.min(retryAfterMs, options.maxRetryAfterMs) + options.random() * options.initialDelayMs;
}

/** Context of a retried operation. */
export interface Attempt {
  /** Reports received bytes: earlier failures are forgotten, since a connection with progress is worth keeping. */
  progressed(): void;
}

/** A failure that will be retried. */
export interface RetryNotice {
  readonly error: Error;
  readonly failures: number;
  readonly delayMs: number;
}

/** Returns the log's sentence about a retry; a wait of a second or more is named. */
export function retryText({ error, delayMs }: RetryNotice): string {
  const when = delayMs < 1000 ? '' : ` in ${formatTimeLeft(delayMs)}`;
  return `${error.message.split('. ')[0]}; retrying${when}`;
}

/**
 * Runs `work` until it succeeds, fails permanently (any error but TransientError), or has failed `options.maxAttempts` times without
 * progress; then throws the TransientError's `final`. A server that takes fewer connections than there are has a turn for each once others
 * have their bytes: its refusals are not final as long as the run receives any.
 * Throws AbortError when `signal` fires, also during a delay.
 */
export async function withRetries<T>(
  work: (attempt: Attempt) => Promise<T>,
  options: RetryOptions,
  signal: AbortSignal,
  onRetry: (notice: RetryNotice) => void = () => {},
): Promise<T> {
  const { network } = options;
  let failures = 0;
  let before = network?.progress;
  for (;;) {
    signal.throwIfAborted();
    const progressed = () => {
      failures = 0;
    };
    network?.onRequest(performance.now());
    try {
      const result = await work({ progressed });
      network?.onAnswer();
      return result;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      signal.throwIfAborted();
      failures += 1;
      const hasTurn = error.kind === 'busy' && network?.progress !== before;
      before = network?.progress;
      if (failures >= options.maxAttempts && !hasTurn) throw error.final;
      const leftMs =
        (error.kind === 'unreached' ? network?.leftMs(performance.now()) : undefined) ?? Number.POSITIVE_INFINITY;
      if (leftMs === 0) throw error.final;
      const delayMs = Math.min(leftMs, retryDelayMs(options, failures, error.retryAfterMs));
      onRetry({ error: error.final, failures, delayMs });
      await delay(delayMs, undefined, { signal });
    }
  }
}
