import { Worker } from 'node:worker_threads';

/** Interval of the check, which is one system call. */
const CHECK_INTERVAL_MS = 500;

/**
 * Kills this process when its parent has ended, even while the main thread is stuck in a run: a separate thread checks whether
 * the parent has changed. (The end of the pipe is noticed only between runs.) Without the thread the worker still works; it only notices the
 * parent's death one run later.
 */
export function watchForOrphaning(): void {
  try {
    const thread = new Worker(
      `const { workerData } = require('node:worker_threads');
     setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, ${CHECK_INTERVAL_MS});`,
      // Read here: a thread that starts late on a busy machine could already see the new parent.
      {
        eval: true,
        workerData: process.ppid,
        resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
      },
    );
    thread.unref();
    thread.on('error', () => {});
  } catch {
    // No thread is left.
  }
}
