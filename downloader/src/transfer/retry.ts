import { setTimeout as delay } from 'node:timers/promises';
import { exponentialDelayMs, formatTimeLeft } from '@heimdex/common';

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
  /** Whether any host was reached yet. Absent: it makes no difference. */
  readonly contact?: FirstContact;
}

/** Returns whether a status is worth a retry. Those of proxies that reach no server have numbers of their own (Cloudflare: 520 to 530). */
export function mayPass(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status < 600);
}

/** System errors if no host was reached: unknown name, connection refused, no route. */
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

/** Returns whether a system error's code means that no host was reached. */
export function isUnreached(code: string | undefined): boolean {
  return code !== undefined && UNREACHED_CODES.has(code);
}

/** Time limit from the first request for a run that has reached no host yet. */
const FIRST_CONTACT_MS = 2_000;

/**
 * What a run knows of the network. If from the start no name resolves, every connection is refused or there is no route, there
 * is no network or its settings are wrong, and a minute of retries would only delay the error. Once any host has answered,
 * the same failures are a temporary outage and are retried as configured.
 */
export class FirstContact {
  #reached = false;
  #sinceMs: number | undefined;
  #progress = 0;

  /** Records a request. */
  onRequest(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  /** Records an answer. */
  onAnswer(): void {
    this.#reached = true;
  }

  /** Records received bytes. */
  onProgress(): void {
    this.#progress += 1;
  }

  /** Grows as bytes are received over any connection. */
  get progress(): number {
    return this.#progress;
  }

  /** Returns the milliseconds left for further attempts after no host was reached; Infinity once any host was. */
  leftMs(nowMs: number): number {
    if (this.#reached || this.#sinceMs === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#sinceMs + FIRST_CONTACT_MS - nowMs);
  }
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
    /** `unreached`: no host was reached, see FirstContact. `busy`: the server answered that it has too many requests or connections. */
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
  const { contact } = options;
  let failures = 0;
  let before = contact?.progress;
  for (;;) {
    signal.throwIfAborted();
    const progressed = () => {
      failures = 0;
    };
    contact?.onRequest(performance.now());
    try {
      const result = await work({ progressed });
      contact?.onAnswer();
      return result;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      signal.throwIfAborted();
      failures += 1;
      const hasTurn = error.kind === 'busy' && contact?.progress !== before;
      before = contact?.progress;
      if (failures >= options.maxAttempts && !hasTurn) throw error.final;
      const leftMs =
        (error.kind === 'unreached' ? contact?.leftMs(performance.now()) : undefined) ?? Number.POSITIVE_INFINITY;
      if (leftMs === 0) throw error.final;
      const delayMs = Math.min(leftMs, retryDelayMs(options, failures, error.retryAfterMs));
      onRetry({ error: error.final, failures, delayMs });
      await delay(delayMs, undefined, { signal });
    }
  }
}
