/**
 * Parses large JSON on a separate thread, so that the main thread stays responsive: 64 MB take a second. The result is
 * protobuf's binary form, which decodes without a copy. The thread starts on demand and ends when idle, which frees its
 * memory. As for a model, bulk calls get a ninth of it while interactive ones wait: those of an index job would take seconds.
 */
import type { Worker } from 'node:worker_threads';
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

/** A response: the message in binary form, or the error in the text. */
export type JsonOutcome = { readonly bytes: Uint8Array<ArrayBuffer> } | { readonly wrong: string };

/** The thread's first message. */
export const STARTED = 'started';

/** The answer to a job. */
interface Answer {
  resolve(bytes: Uint8Array<ArrayBuffer>): void;
  reject(error: unknown): void;
}

const PROGRAM = new URL('./json-thread-main.js', import.meta.url);
const IDLE_MS = 5000;

/** The text is not such a message; the error message says why. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

export class JsonThread {
  readonly #limits: JsonLimits;
  readonly #turns = new Semaphore(1);
  #worker: Worker | undefined;
  #current: Answer | undefined;
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

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #parse(job: JsonJob): Promise<Uint8Array<ArrayBuffer>> {
    clearTimeout(this.#idle);
    try {
      this.#worker ??= this.#start();
      const worker = this.#worker;
      const { bytes } = job;
      // A view into a shared buffer is copied; an exclusive buffer is transferred.
      const alone = bytes.byteLength === bytes.buffer.byteLength || (bytes.buffer as ArrayBuffer).resizable;
      return await new Promise((resolve, reject) => {
        this.#current = { resolve, reject };
        worker.postMessage(job, alone ? [bytes.buffer as ArrayBuffer] : []);
      });
    } finally {
      this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  #start(): Worker {
    const worker = this.#startThread();
    worker.unref();
    let started = false;
    worker.on('message', (outcome: JsonOutcome | typeof STARTED) => {
      if (outcome === STARTED) {
        started = true;
        return;
      }
      if (this.#worker !== worker) return;
      if ('wrong' in outcome) this.#current?.reject(new JsonError(outcome.wrong));
      else this.#current?.resolve(outcome.bytes);
    });
    const lost = (error: unknown) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#current?.reject(started ? error : noThread(error));
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`the thread for JSON ended with ${code}`)));
    return worker;
  }
}
