import { Socket } from 'node:net';
import type { Loader } from '../models/loaders.js';
import type { FamilyName } from '../models/registry.js';
import { openFramePipe, WORKER_PIPE_FD } from '../runner/pipe.js';
import { watchForOrphaning } from './orphan-watch.js';
import { serve } from './serve.js';

/**
 * Makes this process a worker. It is told everything through its pipe and ends when the pipe closes, so it never outlives
 * the server.
 */
export function startWorker(loaders: Readonly<Record<FamilyName, Loader>>): void {
  watchForOrphaning();
  const stream = new Socket({ fd: WORKER_PIPE_FD, readable: true, writable: true });
  const worker = serve({ send: (message) => pipe.send(message) }, loaders);
  const pipe = openFramePipe(stream, {
    message: (message) => worker.receive(message),
    // Ending normally would wait for native threads, or crash in them.
    closed: () => process.kill(process.pid, 'SIGKILL'),
  });
  // The server decides when its workers end; a Ctrl-C at a terminal reaches the whole process group.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
