import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/**
 * Opens a named pipe; whoever opens it must destroy it. Opened as a file is, one that has no writer yet would hold a thread of
 * Node.js, and the process could not exit.
 */
export function openPipe(path: string): Readable {
  return new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
}
