/**
 * Parses large JSON on a separate thread, so that the main thread stays responsive: 64 MB take a second. The result is
 * protobuf's binary form, which decodes without a copy. The thread starts on demand and ends when idle, which frees its
 * memory. As for a model, bulk calls get a ninth of it while interactive ones wait: those of an index job would take seconds.
 */
import type { Worker } from 'node:worker_threads';
import { LimitedThread } from '../../process/limited-thread.js';
import { Semaphore } from '../../semaphore.js';
import type { Caller } from '../../services/call.js';
import { noThread, startThread } from '../../start-thread.js';
import type { JsonLimits } from './scan-json.js';

/** A request to the thread. */
export interface JsonJob {
  readonly typeName: string;
  readonly bytes: Uint8Array;
  readonly limits: JsonLimits;
}

/** Its answer: the message in binary form, the error in the text, or why the thread ended. */
export type JsonAnswer =
  | { readonly kind: 'parsed'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'wrong'; readonly message: string }
  | { readonly kind: 'lost'; readonly error: Error };

const PROGRAM = new URL('./json-thread-main.js', import.meta.url);
const IDLE_MS = 5000;
/** The longest text that JavaScript can hold, 512 MiB, takes a seventh of it. */
const PARSE_WORK_MS = 60_000;

/** The text is not such a message; the error message says why. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

export class JsonThread {
  readonly #limits: JsonLimits;
  readonly #turns = new Semaphore(1);
  #thread: LimitedThread<JsonJob, JsonAnswer> | undefined;
  #idle: NodeJS.Timeout | undefined;
  readonly #startThread: () => Worker;

  constructor(limits: JsonLimits, start = () => startThread(PROGRAM)) {
    this.#limits = limits;
    this.#startThread = start;
  }

  /**
   * Returns the message in binary form. Rejects with a JsonError for invalid text, with the signal's reason, or with QUEUE_FULL if no
   * thread can be started. One at a time.
   */
  async toBinary(typeName: string, bytes: Uint8Array, { signal, priority }: Caller): Promise<Uint8Array<ArrayBuffer>> {
    const release = await this.#turns.acquire(signal, priority);
    return new Promise((resolve, reject) => {
      // The thread goes on: the next message waits for its end.
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#parse({ typeName, bytes, limits: this.#limits })
        .then(resolve, reject)
        .finally(() => {
          signal.removeEventListener('abort', abort);
          release();
        });
    });
  }

  /** Ends the thread; a message that is being parsed rejects. The next message starts another one. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#thread?.end();
  }

  async #parse(job: JsonJob): Promise<Uint8Array<ArrayBuffer>> {
    clearTimeout(this.#idle);
    try {
      if (!this.#thread?.alive) this.#thread = this.#start();
      this.#thread.ref();
      const { bytes } = job;
      // A view into a shared buffer is copied; an exclusive buffer is transferred.
      const alone = bytes.byteLength === bytes.buffer.byteLength || (bytes.buffer as ArrayBuffer).resizable;
      const answer = await this.#thread.ask(job, alone ? [bytes.buffer as ArrayBuffer] : []);
      if (answer.kind === 'parsed') return answer.bytes;
      throw answer.kind === 'wrong' ? new JsonError(answer.message) : answer.error;
    } finally {
      this.#thread?.unref();
      this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  #start(): LimitedThread<JsonJob, JsonAnswer> {
    return new LimitedThread<JsonJob, JsonAnswer>({
      start: this.#startThread,
      workMs: PARSE_WORK_MS,
      notStarted: noThread,
      lost: (loss) => ({
        kind: 'lost',
        error: loss instanceof Error ? loss : new Error(`the thread for JSON: ${loss}`),
      }),
    });
  }
}
