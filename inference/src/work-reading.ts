/**
 * What a process, or one of its threads, has got of the processors: time limits on work count this, not the clock on the wall. A
 * machine may be so busy that a worker has hardly worked in a minute, and it is not stuck for that.
 */
import { readdir, readFile } from 'node:fs/promises';

/** A look at a process or a thread, by proc(5). */
export interface WorkReading {
  /** One letter, as the kernel gives it of the main thread: R can run, S sleeping, D waiting for a disk, T stopped. */
  readonly state: string;
  /** Whether any thread of it can run: it runs, or waits for a processor. */
  readonly runnable: boolean;
  /** Processor time used so far, milliseconds. */
  readonly cpuMs: number;
  /** How long its threads have waited for a processor so far, milliseconds; 0 where the kernel does not count it. */
  readonly waitedMs: number;
}

/** The kernel counts processor time for others in hundredths of a second, whatever its own clock does (USER_HZ). */
const TICK_MS = 10;

/**
 * How much of `elapsedMs` between two looks counts as work, milliseconds. What can run has what it used of the processors; what
 * sleeps has all of the time, less what it waited for a processor in between: nobody keeps it from working. Without looks
 * (where there is no /proc: macOS, Windows) all time counts. Pure.
 */
export function workedMs(before: WorkReading | undefined, after: WorkReading | undefined, elapsedMs: number): number {
  if (before === undefined || after === undefined) return elapsedMs;
  const usedMs = Math.min(elapsedMs, Math.max(0, after.cpuMs - before.cpuMs));
  if (after.runnable) return usedMs;
  return Math.max(usedMs, elapsedMs - waitedBetween(before, after));
}

/** How long threads waited for a processor between two looks. */
export function waitedBetween(before: WorkReading, after: WorkReading): number {
  // A thread that has ended takes its count with it.
  return Math.max(0, after.waitedMs - before.waitedMs);
}

/** A look at a process, all its threads together; undefined when it is gone, or there is no /proc. */
export async function readProcessWork(pid: number): Promise<WorkReading | undefined> {
  const whole = await readStat(`/proc/${pid}`);
  if (whole === undefined) return undefined;
  const dir = `/proc/${pid}/task`;
  const threads = await readdir(dir).catch(() => []);
  const looks = await Promise.all(
    threads.map(async (thread) => {
      const path = `${dir}/${thread}`;
      // Each file costs the serving thread some of its time: one that says no more is not read.
      const [stat, waitedMs] = await Promise.all([whole.state === 'R' ? whole : readStat(path), readWaited(path)]);
      return { runnable: stat?.state === 'R', waitedMs };
    }),
  );
  return {
    ...whole,
    runnable: whole.state === 'R' || looks.some((look) => look.runnable),
    waitedMs: looks.reduce((sum, { waitedMs }) => sum + waitedMs, 0),
  };
}

/** The same of one thread of this process. */
export async function readThreadWork(tid: number): Promise<WorkReading | undefined> {
  const path = `/proc/self/task/${tid}`;
  const [stat, waitedMs] = await Promise.all([readStat(path), readWaited(path)]);
  return stat === undefined ? undefined : { ...stat, runnable: stat.state === 'R', waitedMs };
}

async function readStat(path: string): Promise<Pick<WorkReading, 'state' | 'cpuMs'> | undefined> {
  const text = await readFile(`${path}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name in parentheses may hold anything; the fields are counted behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  return { state, cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS };
}

/** The second number of schedstat: nanoseconds on a run queue (Documentation/scheduler/sched-stats.rst). */
async function readWaited(path: string): Promise<number> {
  const text = await readFile(`${path}/schedstat`, 'utf8').catch(() => '');
  return Number(text.split(' ')[1] ?? 0) / 1e6;
}
