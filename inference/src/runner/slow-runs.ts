/**
 * Reports runs that take many times their predicted time, with what the worker is doing, long before the limit without progress
 * (RUN_TIMEOUT_SECONDS) ends it.
 */
import { type WorkReading, waitedBetween } from '../process/work-reading.js';

/** A run is slow after this multiple of its predicted time ... */
const SLOW_FACTOR = 10;
/** ... and not before this time: short runs vary. */
const MIN_SLOW_MS = 5000;
/** A run without a prediction is slow after this part of the limit without progress. */
const LIMIT_FRACTION = 0.25;
/** Each report of a run comes after this multiple of the time of the one before. */
const REPEAT_FACTOR = 2;
/** Interval of the two readings of a report. */
const SAMPLE_MS = 1000;
/** Fraction of the interval above which a worker is said to compute, or to wait for a CPU. */
const BUSY_FRACTION = 0.5;

export interface SlowRun {
  readonly run: number;
  /** Time since the run began. */
  readonly ms: number;
  /** Predicted time; undefined before the model's first run. */
  readonly expectedMs: number | undefined;
  readonly items: number;
  /** Progress messages since the run began. */
  readonly progress: number;
  /** For the log, such as `computes`. */
  readonly doing: string;
  /** CPU time of all threads in the last second. */
  readonly cpuMs: number | undefined;
}

export interface SlowRunsOptions {
  /** Limit without progress. */
  readonly hangMs: number;
  /** Default 5000. */
  readonly minSlowMs?: number;
  /** Default 1000. */
  readonly sampleMs?: number;
  /** Reads the worker; undefined without /proc. */
  read(): WorkReading | undefined;
  /** Progress messages of the worker so far. */
  progress(): number;
  report(slow: SlowRun): void;
}

export class SlowRuns {
  readonly #options: SlowRunsOptions;

  constructor(options: SlowRunsOptions) {
    this.#options = options;
  }

  /** Watches a run until the returned function is called. Does not keep this process alive. */
  watch(run: number, items: number, expectedMs: number | undefined): () => void {
    const { progress } = this.#options;
    const startedAtMs = performance.now();
    const progressBefore = progress();
    let ended = false;
    let timer: NodeJS.Timeout;
    const wait = (slowMs: number): void => {
      const leftMs = Math.max(0, startedAtMs + slowMs - performance.now());
      timer = setTimeout(() => void look().then(() => !ended && wait(slowMs * REPEAT_FACTOR)), leftMs).unref();
    };
    const look = async (): Promise<void> => {
      const { doing, cpuMs } = await this.#look();
      if (ended) return;
      const ms = Math.round(performance.now() - startedAtMs);
      this.#options.report({ run, ms, expectedMs, items, progress: progress() - progressBefore, doing, cpuMs });
    };
    wait(slowAfterMs(expectedMs, this.#options));
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }

  /** Never rejects. */
  async #look(): Promise<{ readonly doing: string; readonly cpuMs: number | undefined }> {
    const { read, sampleMs = SAMPLE_MS } = this.#options;
    const before = read();
    await new Promise((resolve) => void setTimeout(resolve, sampleMs).unref());
    const after = read();
    if (before === undefined || after === undefined) return { doing: 'is unknown on this system', cpuMs: undefined };
    return { doing: describeWork(before, after, sampleMs), cpuMs: Math.round(after.cpuMs - before.cpuMs) };
  }
}

/** Returns when a run is slow, in whole seconds: timers of equal length are cheap. */
function slowAfterMs(expectedMs: number | undefined, { hangMs, minSlowMs = MIN_SLOW_MS }: SlowRunsOptions): number {
  const slowMs = expectedMs === undefined ? hangMs * LIMIT_FRACTION : expectedMs * SLOW_FACTOR;
  return Math.max(minSlowMs, Math.ceil(slowMs / 1000) * 1000);
}

/** Says what a worker did between two readings `elapsedMs` apart. Pure. */
export function describeWork(before: WorkReading, after: WorkReading, elapsedMs: number): string {
  if (after.state === 'T' || after.state === 't') return 'is stopped by a signal';
  if (after.cpuMs - before.cpuMs >= elapsedMs * BUSY_FRACTION) return 'computes';
  if (waitedBetween(before, after) >= elapsedMs * BUSY_FRACTION) return 'waits for a CPU: the machine is busy';
  if (after.state === 'D') return 'waits for a disk';
  return after.runnable ? 'computes now and then' : 'sleeps without using a CPU';
}
