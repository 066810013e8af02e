import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { InferenceError } from '../../errors.js';
import { IdleTimer } from '../../process/idle-timer.js';

/** Waits until the caller has read what was written. Rejects with the signal's reason, or when nothing was read for `idleMs`. */
export async function drained(stream: Writable, signal: AbortSignal, idleMs: number): Promise<void> {
  const idle = new AbortController();
  const timer = new IdleTimer(idleMs, () => idle.abort());
  try {
    await once(stream, 'drain', { signal: AbortSignal.any([signal, idle.signal]) });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!idle.signal.aborted) throw error;
    throw new InferenceError('DEADLINE_EXCEEDED', `No answer was read for ${idleMs / 1000} seconds.`);
  } finally {
    timer.clear();
  }
}
