/**
 * CPU time and scheduling delay of a process or a thread. Limits on work count this instead of wall time: on a busy machine a
 * worker may get almost no CPU in a minute without being stuck.
 *
 * Files of /proc are read synchronously: the kernel answers from memory in some 10 µs, a tenth of what a promise of
 * node:fs costs the serving thread.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/** A reading of a process or a thread, see proc(5). */
export interface WorkReading {
  /** The kernel's state letter of the main thread: R runnable, S sleeping, D waiting for a disk, T stopped. */
  readonly state: string;
  /** Whether any of its threads is runnable: running, or waiting for a CPU. */
  readonly runnable: boolean;
  /** CPU time so far, milliseconds. */
  readonly cpuMs: number;
  /** Time that its threads have waited for a CPU so far, milliseconds; 0 if the kernel does not count it. */
  readonly waitedMs: number;
}

/** Unit of CPU times in /proc: always hundredths of a second (USER_HZ). */
const TICK_MS = 10;

/**
 * Returns how much of `elapsedMs` between two readings counts as work, in milliseconds. For a runnable process, its CPU time.
 * For a sleeping one, the elapsed time without its waits for a CPU: nothing else keeps it from working. Without readings (no
 * /proc: macOS, Windows) all time counts. Pure.
 */
export function workedMs(before: WorkReading | undefined, after: WorkReading | undefined, elapsedMs: number): number {
  if (before === undefined || after === undefined) return elapsedMs;
  const usedMs = Math.min(elapsedMs, Math.max(0, after.cpuMs - before.cpuMs));
  if (after.runnable) return usedMs;
  return Math.max(usedMs, elapsedMs - waitedBetween(before, after));
}

/** Returns how long threads waited for a CPU between two readings, in milliseconds. */
export function waitedBetween(before: WorkReading, after: WorkReading): number {
  // The count of an ended thread is lost.
  return Math.max(0, after.waitedMs - before.waitedMs);
}

/** Reads a process, all its threads together; undefined if it does not exist, has not been started, or without /proc. */
export function readProcessWork(pid: number | undefined): WorkReading | undefined {
  if (pid === undefined) return undefined;
  const processStat = readStat(`/proc/${pid}`);
  if (processStat === undefined) return undefined;
  let runnable = processStat.state === 'R';
  let waitedMs = 0;
  for (const thread of threadsOf(pid)) {
    const path = `/proc/${pid}/task/${thread}`;
    runnable ||= readStat(path)?.state === 'R';
    waitedMs += readWaited(path);
  }
  return { ...processStat, runnable, waitedMs };
}

/** Reads one thread of this process; undefined if it does not exist or without /proc. */
export function readThreadWork(tid: number): WorkReading | undefined {
  const path = `/proc/self/task/${tid}`;
  const stat = readStat(path);
  return stat && { ...stat, runnable: stat.state === 'R', waitedMs: readWaited(path) };
}

/** Returns the calling thread's id from /proc/thread-self, a link to PID/task/TID; undefined without /proc. */
export function ownThreadId(): number | undefined {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')));
  } catch {
    return undefined;
  }
}

/** Ids of a process's threads; none if it has ended meanwhile. */
function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function readStat(path: string): Pick<WorkReading, 'state' | 'cpuMs'> | undefined {
  const text = readSystemFile(`${path}/stat`);
  if (text === undefined) return undefined;
  // The name in parentheses may contain anything; fields are counted after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  return { state, cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS };
}

/** The second number of schedstat: nanoseconds on a run queue (Documentation/scheduler/sched-stats.rst). */
function readWaited(path: string): number {
  return Number(readSystemFile(`${path}/schedstat`)?.split(' ')[1] ?? 0) / 1e6;
}

/** Reads a file of the system; undefined where there is none, as of a thread that has ended. */
export function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
