/** A limit on work: as a timer, but time in which the work could not be done does not count. */
import { type WorkReading, workedMs } from './work-reading.js';

export interface WorkTimerOptions {
  /** A look at who works; undefined where there is none: then the clock on the wall counts. */
  read(): Promise<WorkReading | undefined>;
  /** Time between two looks while a limit is set, milliseconds. */
  readonly everyMs: number;
}

/** Longest and shortest time between two looks of a limit. */
const MAX_BETWEEN_MS = 2000;
const MIN_BETWEEN_MS = 10;
const LOOKS_PER_LIMIT = 8;
/** A look that comes later than this was kept from coming, as the work was: by a busy machine, or one that slept. */
const LATEST_LOOK = 2;

/** How often to look for limits of which the shortest is `limitMs`. */
export function lookEveryMs(limitMs: number): number {
  return Math.min(MAX_BETWEEN_MS, Math.max(MIN_BETWEEN_MS, limitMs / LOOKS_PER_LIMIT));
}

/**
 * Counts the work of one process or thread, and calls back when it has worked for as long as its limit without `set` or
 * `clear` in between. Does not keep the process alive.
 */
export class WorkTimer {
  readonly #options: WorkTimerOptions;
  readonly #timer: NodeJS.Timeout;
  #limit: { readonly ms: number; readonly setAtMs: number; over(): void } | undefined;
  #countedMs = 0;
  #last: { readonly atMs: number; readonly reading: WorkReading | undefined } | undefined;
  #looking = false;

  constructor(options: WorkTimerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.everyMs).unref();
  }

  /** Counts from 0 towards a new limit, whatever was set before. */
  set(limitMs: number, over: () => void): void {
    this.#limit = { ms: limitMs, setAtMs: performance.now(), over };
    this.#countedMs = 0;
  }

  /** No limit from now on. */
  clear(): void {
    this.#limit = undefined;
  }

  /** Ends the looks. Idempotent. */
  close(): void {
    this.#limit = undefined;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#limit === undefined) {
      this.#last = undefined;
      return;
    }
    // On a machine where one look takes longer than the time between two.
    if (this.#looking) return;
    this.#looking = true;
    try {
      const reading = await this.#options.read().catch(() => undefined);
      this.#count(reading);
    } finally {
      this.#looking = false;
    }
  }

  #count(reading: WorkReading | undefined): void {
    const last = this.#last;
    const atMs = performance.now();
    this.#last = { atMs, reading };
    // What answered while the look was made is not overdue.
    const limit = this.#limit;
    if (limit === undefined || last === undefined) return;
    const elapsedMs = Math.min(atMs - last.atMs, this.#options.everyMs * LATEST_LOOK);
    this.#countedMs += Math.min(workedMs(last.reading, reading, elapsedMs), atMs - limit.setAtMs);
    if (this.#countedMs < limit.ms) return;
    this.#limit = undefined;
    limit.over();
  }
}
