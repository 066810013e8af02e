/** Watches a worker from outside: a stopped or stuck process cannot report itself. */
import { GIB } from '@heimdex/common';
import { readProcessWork, readSystemFile, type WorkReading, waitedBetween } from '../process/work-reading.js';

/** A sample of a process. */
export interface Sample extends WorkReading {
  /** Private memory: mapped model files, which the kernel can drop, do not count. */
  readonly ownBytes: number;
  /** Id of the current run; undefined while idle. */
  readonly run: number | undefined;
  /** Number of progress messages so far. */
  readonly progress: number;
}

export interface WatchdogLimits {
  /** Sampling interval. */
  readonly everyMs: number;
  /** Maximum private memory. */
  readonly maxOwnBytes: number;
  /** Whether a run must use CPU time: false on a GPU. */
  readonly cpuBound: boolean;
}

/** Fraction of the time waiting for a CPU that counts as starved; background threads of a sleeping process wait much less. */
const STARVED_FRACTION = 0.1;
/** A worker that is stopped or stuck in this many consecutive samples has failed. */
const SAMPLE_COUNT = 3;

/** Returns what is wrong with a process by its last samples (oldest first), or undefined. Pure. */
export function diagnose(samples: readonly Sample[], limits: WatchdogLimits): string | undefined {
  const last = samples.at(-1);
  if (last === undefined) return undefined;
  if (last.ownBytes > limits.maxOwnBytes) {
    return `memory limit exceeded: ${toGib(last.ownBytes)} GiB of ${toGib(limits.maxOwnBytes)} GiB`;
  }
  const recent = samples.slice(-SAMPLE_COUNT);
  if (recent.length < SAMPLE_COUNT) return undefined;
  if (recent.every(({ state }) => state === 'T' || state === 't')) return 'the process was stopped by a signal';
  const spanMs = (SAMPLE_COUNT - 1) * limits.everyMs;
  const stuck =
    limits.cpuBound &&
    last.run !== undefined &&
    recent.every(
      ({ run, progress, cpuMs, state }) =>
        run === last.run && progress === last.progress && cpuMs === last.cpuMs && state !== 'D',
    ) &&
    !isStarved(recent, spanMs);
  return stuck ? `the process used no CPU time in a run for ${spanMs} ms, and did not wait for a CPU` : undefined;
}

/** Returns whether a process was ready to run without a CPU: runnable in a sample, or waiting for a CPU between samples. */
function isStarved(samples: readonly Sample[], spanMs: number): boolean {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return false;
  return samples.some(({ runnable }) => runnable) || waitedBetween(first, last) >= spanMs * STARVED_FRACTION;
}

function toGib(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}

export interface WatchedProcess {
  readonly pid: number;
  /** Returns its current run and progress. */
  activity(): Pick<Sample, 'run' | 'progress'>;
  /** Called once, with the reason. */
  failed(reason: string): void;
}

/** Samples until the returned function is called or the process has failed. Does nothing without /proc (macOS, Windows). */
export function watchProcess(process: WatchedProcess, limits: WatchdogLimits): () => void {
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    const reading = readProcess(process.pid);
    if (reading === undefined) return;
    samples.push({ ...reading, ...process.activity() });
    if (samples.length > SAMPLE_COUNT) samples.shift();
    const reason = diagnose(samples, limits);
    if (reason === undefined) return;
    clearInterval(timer);
    process.failed(reason);
  }, limits.everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function readProcess(pid: number): Omit<Sample, 'run' | 'progress'> | undefined {
  const work = readProcessWork(pid);
  const status = readSystemFile(`/proc/${pid}/status`);
  if (work === undefined || status === undefined) return undefined;
  return { ...work, ownBytes: Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024 };
}
