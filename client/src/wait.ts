/** The promise's value, or a rejection with the signal's reason as soon as it fires. The promise itself goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** What `before` rejects with when the time is up. */
export class TimeUpError extends Error {
  override readonly name = 'TimeUpError';
}

/**
 * The promise's value, or a rejection with TimeUpError once `deadlineMs` (milliseconds since the epoch) has passed, or with the
 * signal's reason as soon as it fires. The promise itself goes on.
 */
export async function before<T>(promise: Promise<T>, deadlineMs: number, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimeUpError('the time is up')), Math.max(0, deadlineMs - Date.now()));
  });
  try {
    return await abortable(Promise.race([promise, timeUp]), signal);
  } finally {
    clearTimeout(timer);
  }
}
