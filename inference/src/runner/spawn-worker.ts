/** Starts the process of a worker: with a lower priority, and the first to end when memory runs out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { WORKER_FLAGS } from '../process/malloc-settings.js';

/** Nice value of a worker above the server's. */
const PRIORITY_STEP = 10;
/** Added to a worker's oom_score_adj, thousandths of the memory: requests and audio decoders may take half of it in the serving process. */
const OOM_STEP = 500;
const MAX_OOM_ADJUSTMENT = 1000;

/**
 * Starts a process with a pipe for frames at WORKER_PIPE_FD. Throws if the process cannot be started; some failures are the child's `error`
 * event instead.
 */
export function spawnWorker(program: string, env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, [...WORKER_FLAGS, program], { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  // The types do not say so: when no file can be opened, Node.js returns a child without pipes and emits the error later.
  if ((child.stdio as ChildProcess['stdio'] | undefined) === undefined) {
    child.once('error', () => {});
    throw new Error('too many open files (EMFILE or ENFILE)');
  }
  lowerPriority(child.pid);
  endFirst(child.pid);
  return child;
}

/** Gives the worker a lower priority than the server: the serving process needs little CPU time, but without delay. */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + PRIORITY_STEP));
  } catch {
    // The process has ended, or the system does not permit it; the worker runs without it.
  }
}

/**
 * Lets the kernel choose a worker when memory runs out. Under load the serving process, with the requests, is often the largest: without it
 * every call is lost and all models load again, while a worker is replaced.
 */
function endFirst(pid: number | undefined): void {
  try {
    const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
    if (pid !== undefined)
      writeFileSync(`/proc/${pid}/oom_score_adj`, `${Math.min(MAX_OOM_ADJUSTMENT, own + OOM_STEP)}`);
  } catch {
    // As above; or the system has no such file.
  }
}
