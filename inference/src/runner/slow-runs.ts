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

export interface WatchedRun extends Pick<SlowRun, 'run' | 'items' | 'expectedMs'> {
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

/** Watches a run until the returned function is called. Does not keep this process alive. */
export function watchRun(watched: WatchedRun): () => void {
  const { run, items, expectedMs, progress, read, sampleMs = SAMPLE_MS } = watched;
  const startedAtMs = performance.now();
  const progressBefore = progress();
  let timer: NodeJS.Timeout;
  const wait = (slowMs: number): void => {
    const leftMs = Math.max(0, startedAtMs + slowMs - performance.now());
    timer = setTimeout(() => sample(slowMs, read()), leftMs).unref();
  };
  const sample = (slowMs: number, before: WorkReading | undefined): void => {
    timer = setTimeout(() => {
      const ms = Math.round(performance.now() - startedAtMs);
      const work = workBetween(before, read(), sampleMs);
      watched.report({ run, ms, expectedMs, items, progress: progress() - progressBefore, ...work });
      wait(slowMs * REPEAT_FACTOR);
    }, sampleMs).unref();
  };
  wait(slowAfterMs(watched));
  return () => clearTimeout(timer);
}

function workBetween(before: WorkReading | undefined, after: WorkReading | undefined, elapsedMs: number) {
  if (before === undefined || after === undefined) return { doing: 'is unknown on this system', cpuMs: undefined };
  return { doing: describeWork(before, after, elapsedMs), cpuMs: Math.round(after.cpuMs - before.cpuMs) };
}

/** Returns when a run is slow, in whole seconds: timers of equal length are cheap. */
function slowAfterMs({ expectedMs, hangMs, minSlowMs = MIN_SLOW_MS }: WatchedRun): number {
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
