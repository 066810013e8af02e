/** Starts the process of a worker. */
import { type ChildProcess, spawn } from 'node:child_process';
import { WORKER_FLAGS } from '../process/malloc-settings.js';
import { lowerPriority } from './priority.js';

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
  return child;
}
