import { type ResourceLimits, Worker } from 'node:worker_threads';
import { InferenceError } from './errors.js';

const RETRY_MS = 1000;

/**
 * Starts a thread without this process's options and environment. Throws QUEUE_FULL where the system has none left, at the limit of a
 * container or a user: no input is to blame.
 */
export function startThread(program: URL, resourceLimits: ResourceLimits = {}): Worker {
  try {
    return new Worker(program, { resourceLimits, execArgv: [], env: {} });
  } catch (cause) {
    throw noThread(cause);
  }
}

/** The error of a thread that did not start, or ended before it could read its program: too many open files show only then. */
export function noThread(cause: unknown): InferenceError {
  const message = 'No thread can be started: the server has reached the limit of its system. Retry later.';
  return new InferenceError('QUEUE_FULL', message, { retryAfterMs: RETRY_MS, cause });
}
