/** Looks at a worker from outside: what a process that is stopped or stuck cannot say itself. */
import { readFile } from 'node:fs/promises';

/** A look at a process. */
export interface Sample {
  /** One letter, as the kernel gives it: R running, S sleeping, D waiting for a disk, T stopped. */
  readonly state: string;
  /** Processor time used so far, in clock ticks. */
  readonly cpuTicks: number;
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
  const [first] = recent;
  const stuck =
    limits.cpuBound &&
    last.run !== undefined &&
    recent.every(
      ({ run, progress, cpuTicks, state }) =>
        run === last.run && progress === last.progress && cpuTicks === first?.cpuTicks && state !== 'D',
    );
  return stuck ? `it used no processor time in a run for ${(LOOKS - 1) * limits.everyMs} ms` : undefined;
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

async function readProcess(pid: number): Promise<Pick<Sample, 'state' | 'cpuTicks' | 'ownBytes'> | undefined> {
  try {
    const [stat, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ]);
    // The name in parentheses may hold anything; the fields are counted behind it (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = ''] = fields;
    const cpuTicks = Number(fields[11]) + Number(fields[12]);
    const ownBytes = Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    return { state, cpuTicks, ownBytes };
  } catch {
    return undefined;
  }
}
