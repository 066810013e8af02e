import { Socket } from 'node:net';
import { KIB } from '@heimdex/common';
import type { Loader } from '../models/loaders.js';
import type { FamilyName } from '../models/registry.js';
import type { FromWorker } from '../runner/messages.js';
import { openFramePipe, WORKER_PIPE_FD } from '../runner/pipe.js';
import { watchForOrphaning } from './orphan-watch.js';
import { serve } from './serve.js';

const CHUNK_BYTES = 64 * KIB;

/**
 * Runs this process as a worker. It is controlled through its pipe and ends when the pipe closes: it never outlives the server.
 */
export function startWorker(loaders: Readonly<Record<FamilyName, Loader>>): void {
  watchForOrphaning();
  // Each chunk is copied at once, so one buffer is enough. A buffer per chunk fragments the process's heap.
  const onread = {
    buffer: Buffer.alloc(CHUNK_BYTES),
    callback: (bytes: number, buffer: Uint8Array): boolean => stream.emit('data', buffer.subarray(0, bytes)),
  };
  // The typings have `onread` only for sockets that connect.
  const options = { fd: WORKER_PIPE_FD, readable: true, writable: true, onread };
  const stream: Socket = new Socket(options);
  const receive = serve((message) => pipe.send(message), loaders);
  const pipe = openFramePipe<FromWorker>(stream, {
    message: receive,
    // A normal exit would wait for native threads, or crash in them.
    closed: () => process.kill(process.pid, 'SIGKILL'),
  });
  // Ctrl-C in a terminal signals the whole process group, but only the server ends its workers.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
