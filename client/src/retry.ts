import { exponentialDelayMs } from '@heimdex/common';
import type { InferenceClientError } from './errors.js';

/** Retry settings. */
export interface RetryOptions {
  /** Maximum attempts per call, except of a bulk call that waits for a full queue. 1: no retries. Default 5. */
  readonly maxAttempts: number;
  /** Upper bound of the first delay, in milliseconds; it doubles with each attempt. Default 200. */
  readonly initialDelayMs: number;
  /** Maximum delay, in milliseconds, unless the server requests a longer one. Default 5,000. */
  readonly maxDelayMs: number;
}

/** The defaults of {@link RetryOptions}. */
export const DEFAULT_RETRY: RetryOptions = { maxAttempts: 5, initialDelayMs: 200, maxDelayMs: 5_000 };

/** Jitter on the delay requested by the server, to spread callers that were refused together. */
const RETRY_AFTER_SPREAD = 0.2;

/**
 * Returns the delay before a retry in milliseconds, or undefined if the call must not be retried. Every method is a pure
 * computation, so a repeated call is harmless.
 *
 * UNAVAILABLE is retried after the server's RetryInfo or an exponential back-off with full jitter. RESOURCE_EXHAUSTED is
 * retried only with RetryInfo: without it the request itself is too large.
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

/**
 * The client was closed, the request crashed two worker processes of the server, or it takes longer than a proxy waits: the server
 * would do the same work again, for nothing.
 */
const FINAL_REASONS: ReadonlySet<string> = new Set(['CLOSED', 'WORKER_LOST_TWICE', 'PROXY_TIMEOUT']);

/** Whether a retry of the same call may succeed. */
export function isRetryable(error: InferenceClientError): boolean {
  if (error.code === 'UNAVAILABLE') return !FINAL_REASONS.has(error.reason ?? '');
  return error.code === 'RESOURCE_EXHAUSTED' && error.retryAfterMs !== undefined;
}

const MIN_BUDGET_TOKENS = 10;
const BUDGET_REFILL = 0.1;

/**
 * Bounds the load that retries add to overloaded servers, over all calls of a client (gRPC's retry throttling, proposal
 * A6). Each retryable failure takes one of ten tokens, each success returns a tenth of a token, and calls are retried
 * only while more than half of the tokens are left. With more than 5 attempts per call there are more tokens: one call may use
 * all of its attempts. Calls that move on from a server that drains or is gone are not counted (see Caller).
 */
export class RetryBudget {
  readonly #tokens: number;
  #taken = 0;

  constructor(maxAttempts: number) {
    this.#tokens = Math.max(MIN_BUDGET_TOKENS, 2 * maxAttempts);
  }

  recordSuccess(): void {
    this.#taken = Math.max(0, this.#taken - BUDGET_REFILL);
  }

  /** Records a retryable failure and returns whether it may be retried. */
  recordFailure(): boolean {
    this.#taken = Math.min(this.#tokens, this.#taken + 1);
    return this.#taken < this.#tokens / 2;
  }
}
