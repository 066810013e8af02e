import { nowMs } from './clock.js';

/** Calls `run` when the signal fires, at once if it has: a listener that is added after that is never called. */
export function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true });
}

/**
 * Cancels a call of gRPC, its first message sent: of a call without one Node.js ends the request before it resets the stream, and to the
 * server a request that ends without a message is a wrong one.
 */
export function cancelSoon(call: { cancel(): void }): void {
  setImmediate(() => call.cancel());
}

/** Returns the promise's value, or rejects with the signal's reason when it fires. The promise itself continues. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    onAbort(signal, abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The chunks of a source, until it or the signal ends. */
export async function* untilAborted<Chunk>(
  chunks: AsyncIterable<Chunk>,
  signal: AbortSignal,
): AsyncGenerator<Chunk, void, void> {
  const iterator = chunks[Symbol.asyncIterator]();
  for (;;) {
    const next = await abortable(iterator.next(), signal).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (next === undefined || next.done === true) return;
    yield next.value;
  }
}

/** Thrown by `before` after the deadline. */
export class TimeUpError extends Error {
  override readonly name = 'TimeUpError';
}

/**
 * Returns the value, or the promise's value. Rejects with TimeUpError after `deadlineMs` (by nowMs), or with the
 * signal's reason when it fires. The promise itself continues.
 */
export async function before<T>(promise: T | Promise<T>, deadlineMs: number, signal: AbortSignal): Promise<T> {
  // Every call waits for a server and a token, which are usually there: no timer then.
  if (!(promise instanceof Promise)) {
    signal.throwIfAborted();
    return promise;
  }
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimeUpError('deadline exceeded')), Math.max(0, deadlineMs - nowMs()));
  });
  try {
    return await abortable(Promise.race([promise, timeUp]), signal);
  } finally {
    clearTimeout(timer);
  }
}
