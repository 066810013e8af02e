/** Reads the files that the command line names. */
import { readFile, stat } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { isNotFound, messageOf } from '@heimdex/common';
import { openPipe } from '@heimdex/common/pipe';
import { createError, type InferenceClientError } from '../errors.js';
import { usageError } from './cli-error.js';

/** Reads a file or a named pipe. Rejects as a call does when the signal fires. */
export async function readWhole(path: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    if (!(await stat(path)).isFIFO()) return await readFile(path, { signal });
    return Buffer.concat(await addAbortSignal(signal, openPipe(path)).toArray());
  } catch (cause) {
    if (signal.aborted) throw createError('CANCELLED', 'interrupted', { reason: 'ABORTED', cause });
    throw cause;
  }
}

/** The same for a file without which the command cannot run. Rejects with CliError if it cannot be read. */
export async function readNeeded(path: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await readWhole(path, signal);
  } catch (cause) {
    if (signal.aborted) throw cause;
    return unreadablePath(path)(cause);
  }
}

/** Throws CliError for a path of the command line that cannot be read: a handler for `catch`. */
export function unreadablePath(path: string): (cause: unknown) => never {
  return (cause) => {
    throw usageError(messageFor(path, cause));
  };
}

/** The reason of a file that cannot be read. The message names it. */
export const FILE_UNREADABLE = 'FILE_UNREADABLE';

/** Returns the error for an unreadable file. */
export function unreadable(path: string, cause: unknown): InferenceClientError {
  return createError('NOT_FOUND', messageFor(path, cause), { reason: FILE_UNREADABLE, cause });
}

function messageFor(path: string, cause: unknown): string {
  // As of a variable of a shell that is not set.
  if (path === '') return 'Expected the name of a file to read, got an empty one';
  // Node.js puts U+FFFD for bytes of a name that are not UTF-8, and no file has the name that results.
  const why = path.includes('\uFFFD') && isNotFound(cause) ? 'its name is not UTF-8; rename it' : messageOf(cause);
  return `${path} cannot be read: ${why}`;
}
