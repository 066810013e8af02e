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
 * the same failures are a temporary outage and are retried as configured. It also tells a run that receives bytes from one that receives none.
 */
export class NetworkState {
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
