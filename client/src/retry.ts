import { exponentialDelayMs } from '@heimdex/common';
import type { InferenceClientError } from './errors.js';

/** When and how often a failed call is sent again. */
export interface RetryOptions {
  /** How often a call is sent at most. 1: never again. Default 5. */
  readonly maxAttempts: number;
  /** The first wait is between 0 and this, in milliseconds; it doubles with each attempt. Default 200. */
  readonly initialDelayMs: number;
  /** No wait of this side's own choice is longer. Default 5,000. */
  readonly maxDelayMs: number;
}

/** The defaults of {@link RetryOptions}. */
export const DEFAULT_RETRY: RetryOptions = { maxAttempts: 5, initialDelayMs: 200, maxDelayMs: 5_000 };

/** Spread over what the server asked for, so that callers it refused together do not come back together. */
const RETRY_AFTER_SPREAD = 0.2;

/**
 * How long to wait before sending a failed call again, in milliseconds; undefined where it must not be sent again. Every
 * method is a pure computation, so sending twice is harmless.
 *
 * UNAVAILABLE is sent again after the server's RetryInfo or an exponential back-off with full jitter. RESOURCE_EXHAUSTED
 * is sent again only with RetryInfo: without it the request itself is too large.
 *
 * @param attempts how often the call has been sent
 * @param random 0 to 1, for the jitter
 */
export function retryDelayMs(
  error: InferenceClientError,
  attempts: number,
  options: RetryOptions,
  random: number,
): number | undefined {
  if (attempts >= options.maxAttempts || !isRetryable(error)) return undefined;
  if (error.retryAfterMs !== undefined) return error.retryAfterMs * (1 + RETRY_AFTER_SPREAD * random);
  return random * exponentialDelayMs(attempts, options.initialDelayMs, options.maxDelayMs);
}

/** The client was closed; or the server has tried it twice, and lost a process each time. */
const FINAL_REASONS: ReadonlySet<string> = new Set(['CLOSED', 'WORKER_LOST_TWICE']);

/** Whether sending the same call again may help. */
export function isRetryable(error: InferenceClientError): boolean {
  if (error.code === 'UNAVAILABLE') return !FINAL_REASONS.has(error.reason ?? '');
  return error.code === 'RESOURCE_EXHAUSTED' && error.retryAfterMs !== undefined;
}

const BUDGET_TOKENS = 10;
const BUDGET_REFILL = 0.1;

/**
 * Bounds the extra load that retries put on servers in trouble, over all calls of a client (gRPC's retry throttling,
 * proposal A6): each failure that could be retried takes a token of ten, each success gives a tenth back, and calls are
 * sent again only while more than half are left.
 */
export class RetryBudget {
  #tokens = BUDGET_TOKENS;

  /** Notes a success. */
  succeeded(): void {
    this.#tokens = Math.min(BUDGET_TOKENS, this.#tokens + BUDGET_REFILL);
  }

  /** Notes a failure that could be retried, and says whether it may be. */
  failed(): boolean {
    this.#tokens = Math.max(0, this.#tokens - 1);
    return this.#tokens > BUDGET_TOKENS / 2;
  }
}
