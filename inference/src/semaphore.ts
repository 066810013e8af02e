import { type Priority, WEIGHTS } from './priority.js';

/** Interactive calls that may go before a bulk one that waits. */
const MAX_OVERTAKEN = WEIGHTS.interactive / WEIGHTS.bulk;

/** Limits how many hold a resource at once; the others wait, each class in order. */
export class Semaphore {
  #free: number;
  readonly #waiting = { interactive: new Set<() => void>(), bulk: new Set<() => void>() };
  /** Interactive ones that went before bulk ones since the last of those. */
  #overtaken = 0;

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a permit and returns its idempotent release. Rejects with the signal's reason when aborted before. */
  async acquire(signal?: AbortSignal, priority: Priority = 'interactive'): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal, this.#waiting[priority]);
    let held = true;
    return () => {
      if (held) this.#release();
      held = false;
    };
  }

  #turn(signal: AbortSignal | undefined, waiting: Set<() => void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        waiting.delete(next);
        reject(signal?.reason);
      };
      waiting.add(next);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Passes the permit on to who has waited longest in its class. */
  #release(): void {
    const { interactive, bulk } = this.#waiting;
    const isBulk = interactive.size === 0 || (bulk.size > 0 && this.#overtaken >= MAX_OVERTAKEN);
    this.#overtaken = isBulk || bulk.size === 0 ? 0 : this.#overtaken + 1;
    const waiting = isBulk ? bulk : interactive;
    const [next] = waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    waiting.delete(next);
    next();
  }
}
