import { Socket } from 'node:net';
import type { Loader } from '../models/loaders.js';
import type { FamilyName } from '../models/model.js';
import { openFramePipe, WORKER_PIPE_FD } from '../runner/pipe.js';
import { watchForOrphaning } from './orphan-watch.js';
import { serve } from './serve.js';

/**
 * Runs this process as a worker. It is controlled through its pipe and ends when the pipe closes: it never outlives the server.
 */
export function startWorker(loaders: Readonly<Record<FamilyName, Loader>>): void {
  watchForOrphaning();
  const stream = new Socket({ fd: WORKER_PIPE_FD, readable: true, writable: true });
  const worker = serve({ send: (message) => pipe.send(message) }, loaders);
  const pipe = openFramePipe(stream, {
    message: (message) => worker.receive(message),
    // A normal exit would wait for native threads, or crash in them.
    closed: () => process.kill(process.pid, 'SIGKILL'),
  });
  // Ctrl-C in a terminal signals the whole process group, but only the server ends its workers.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
