/** A timeout on work: time in which the work could not run does not count. */
import { type WorkReading, workedMs } from './work-reading.js';

export interface WorkTimerOptions {
  /** Reads the process or thread; undefined: wall time counts. */
  read(): WorkReading | undefined;
  /** Sampling interval, milliseconds. */
  readonly everyMs: number;
}

const MAX_INTERVAL_MS = 2000;
const MIN_INTERVAL_MS = 10;
const SAMPLES_PER_LIMIT = 8;
/** Maximum intervals counted per sample: a later sample was delayed, as the work was, by a busy or suspended machine. */
const MAX_INTERVALS = 2;

/** Returns the sampling interval for limits of at least `limitMs`: an eighth, between 10 ms and 2 s. */
export function sampleIntervalMs(limitMs: number): number {
  return Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, limitMs / SAMPLES_PER_LIMIT));
}

/**
 * Counts the work of a process or thread, and calls back when it reaches the limit without a `set` or `clear` in between. Does
 * not keep this process alive.
 */
export class WorkTimer {
  readonly #options: WorkTimerOptions;
  readonly #timer: NodeJS.Timeout;
  #limit: { readonly ms: number; readonly setAtMs: number; onExceeded(): void } | undefined;
  #countedMs = 0;
  #last: { readonly atMs: number; readonly reading: WorkReading | undefined } | undefined;

  constructor(options: WorkTimerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#sample(), options.everyMs).unref();
  }

  /** Sets a new limit and restarts the count. */
  set(limitMs: number, onExceeded: () => void): void {
    this.#limit = { ms: limitMs, setAtMs: performance.now(), onExceeded };
    this.#countedMs = 0;
  }

  /** Removes the limit. */
  clear(): void {
    this.#limit = undefined;
  }

  /** Stops sampling. Idempotent. */
  close(): void {
    this.#limit = undefined;
    clearInterval(this.#timer);
  }

  #sample(): void {
    const limit = this.#limit;
    const last = this.#last;
    this.#last = undefined;
    if (limit === undefined) return;
    const reading = this.#options.read();
    const atMs = performance.now();
    this.#last = { atMs, reading };
    if (last === undefined) return;
    const elapsedMs = Math.min(atMs - last.atMs, this.#options.everyMs * MAX_INTERVALS);
    this.#countedMs += Math.min(workedMs(last.reading, reading, elapsedMs), atMs - limit.setAtMs);
    if (this.#countedMs < limit.ms) return;
    this.#limit = undefined;
    limit.onExceeded();
  }
}
