import { Worker } from 'node:worker_threads';

/** How often the thread looks; a look is one system call. */
const LOOK_EVERY_MS = 500;

/**
 * Ends this process when its parent is gone, even while its main thread is in a run that never ends: a thread of its own
 * looks whether the parent has changed. (The pipe's end is seen only between runs.)
 */
export function watchForOrphaning(): void {
  const thread = new Worker(
    `const { workerData } = require('node:worker_threads');
     setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, ${LOOK_EVERY_MS});`,
    // Read here: a thread that starts late, on a busy machine, would take the new parent for the first one.
    {
      eval: true,
      workerData: process.ppid,
      resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
    },
  );
  thread.unref();
  // A process that cannot have the thread still works; it only ends a run later when its parent dies.
  thread.on('error', () => {});
}
