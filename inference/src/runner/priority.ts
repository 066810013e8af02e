import { constants, getPriority, setPriority } from 'node:os';

/** Nice value of a worker above the server's. */
const PRIORITY_STEP = 10;

/** Gives the worker a lower priority than the server: the serving process needs little CPU time, but without delay. */
export function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + PRIORITY_STEP));
  } catch {
    // The process has ended, or the system does not permit it; the worker runs without it.
  }
}
