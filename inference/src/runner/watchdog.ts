/** Looks at a worker from outside: what a process that is stopped or stuck cannot say itself. */
import { readFile } from 'node:fs/promises';
import { readProcessWork, type WorkReading, waitedBetween } from '../work-reading.js';

/** A look at a process. */
export interface Sample extends WorkReading {
  /** Memory of its own: mapped model files, which the kernel can drop, do not count. */
  readonly ownBytes: number;
  /** The run it is in; undefined while it is idle. */
  readonly run: number | undefined;
  /** Signs of life it has given so far. */
  readonly progress: number;
}

export interface WatchdogLimits {
  /** Time between two looks. */
  readonly everyMs: number;
  /** More memory of its own ends a worker. */
  readonly maxOwnBytes: number;
  /** Whether a run must use the processor: false where a GPU does the work. */
  readonly cpuBound: boolean;
}

/** Of the time: a thread of a sleeping process that looks after it waits now and then as well, much less. */
const STARVED_PART = 0.1;
/** A worker that is stopped or stuck in so many looks in a row is ended. */
const LOOKS = 3;

/**
 * What is wrong with a process, by its last looks (oldest first), or undefined. Pure.
 */
export function judge(samples: readonly Sample[], limits: WatchdogLimits): string | undefined {
  const last = samples.at(-1);
  if (last === undefined) return undefined;
  if (last.ownBytes > limits.maxOwnBytes) {
    return `it used ${toGib(last.ownBytes)} GiB of memory, more than its ${toGib(limits.maxOwnBytes)} GiB`;
  }
  const recent = samples.slice(-LOOKS);
  if (recent.length < LOOKS) return undefined;
  if (recent.every(({ state }) => state === 'T' || state === 't')) return 'it was stopped from outside';
  const spanMs = (LOOKS - 1) * limits.everyMs;
  const stuck =
    limits.cpuBound &&
    last.run !== undefined &&
    recent.every(
      ({ run, progress, cpuMs, state }) =>
        run === last.run && progress === last.progress && cpuMs === last.cpuMs && state !== 'D',
    ) &&
    !isStarved(recent, spanMs);
  return stuck ? `it used no processor time in a run for ${spanMs} ms, and did not wait for any` : undefined;
}

/** Whether a process could have worked and was not let: it could run at a look, or waited for a processor between them. */
function isStarved(samples: readonly Sample[], spanMs: number): boolean {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return false;
  return samples.some(({ runnable }) => runnable) || waitedBetween(first, last) >= spanMs * STARVED_PART;
}

function toGib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(2);
}

export interface WatchedProcess {
  readonly pid: number;
  /** What it does now. */
  activity(): Pick<Sample, 'run' | 'progress'>;
  /** Called once, with the reason. */
  failed(reason: string): void;
}

/** Looks until the returned function is called, or until something is wrong. Sees nothing where there is no /proc. */
export function watchProcess(process: WatchedProcess, limits: WatchdogLimits): () => void {
  const samples: Sample[] = [];
  const timer = setInterval(() => void look(), limits.everyMs);
  const look = async () => {
    const seen = await readProcess(process.pid);
    if (seen === undefined) return;
    samples.push({ ...seen, ...process.activity() });
    if (samples.length > LOOKS) samples.shift();
    const reason = judge(samples, limits);
    if (reason === undefined) return;
    clearInterval(timer);
    process.failed(reason);
  };
  timer.unref();
  return () => clearInterval(timer);
}

async function readProcess(pid: number): Promise<Omit<Sample, 'run' | 'progress'> | undefined> {
  const [work, status] = await Promise.all([
    readProcessWork(pid),
    readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined),
  ]);
  if (work === undefined || status === undefined) return undefined;
  return { ...work, ownBytes: Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024 };
}
