/**
 * Parses large JSON on a separate thread, so that the main thread stays responsive: 64 MB take a second. The result is
 * protobuf's binary form, which decodes without a copy. The thread starts on demand and ends when idle, which frees its
 * memory. As for a model, bulk calls get a ninth of it while interactive ones wait: those of an index job would take seconds.
 */
import type { Worker } from 'node:worker_threads';
import { type Entry, FairQueue, Flow } from '../../scheduling/fair-queue.js';
import type { Caller } from '../../services/call.js';
import { startThread } from '../../start-thread.js';
import type { JsonLimits } from './scan-json.js';

/** A request to the thread. */
export interface JsonJob {
  readonly id: number;
  readonly typeName: string;
  readonly bytes: Uint8Array;
  readonly limits: JsonLimits;
}

/** A response: the message in binary form, or the error in the text. */
export type JsonOutcome =
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly wrong: string };

interface Waiting {
  readonly job: JsonJob;
  resolve(bytes: Uint8Array<ArrayBuffer>): void;
  reject(error: unknown): void;
}

const PROGRAM = new URL('./json-thread-main.js', import.meta.url);
const IDLE_MS = 5000;
const ONE = { maxItems: 1, maxCost: 0, maxPadding: 0 };

/** The text is not such a message; the error message says why. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

export class JsonThread {
  readonly #limits: JsonLimits;
  readonly #queue = new FairQueue<Waiting>();
  #worker: Worker | undefined;
  #current: Waiting | undefined;
  #idle: NodeJS.Timeout | undefined;
  #jobs = 0;
  readonly #startThread: () => Worker;

  constructor(limits: JsonLimits, start = () => startThread(PROGRAM)) {
    this.#limits = limits;
    this.#startThread = start;
  }

  /**
   * Returns the message in binary form. Rejects with a JsonError for invalid text, with the signal's reason, or with QUEUE_FULL if no
   * thread can be started. One at a time.
   */
  toBinary(typeName: string, bytes: Uint8Array, { signal, priority }: Caller): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      this.#jobs += 1;
      const job = { id: this.#jobs, typeName, bytes, limits: this.#limits };
      const abort = () => {
        this.#queue.remove(entry);
        reject(signal.reason);
      };
      const settle = <Value>(then: (value: Value) => void) => {
        return (value: Value) => {
          signal.removeEventListener('abort', abort);
          then(value);
        };
      };
      const entry: Entry<Waiting> = {
        item: { job, resolve: settle(resolve), reject: settle(reject) },
        flow: new Flow(priority),
        cost: bytes.byteLength,
        kind: '',
        deadlineAtMs: Number.POSITIVE_INFINITY,
        alone: true,
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#queue.push(entry);
      this.#next();
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const next = this.#queue.take(ONE, 0).batch[0]?.item;
    if (next === undefined) {
      this.#idle = setTimeout(() => void this.close(), IDLE_MS);
      this.#idle.unref();
      return;
    }
    clearTimeout(this.#idle);
    try {
      this.#worker ??= this.#start();
    } catch (error) {
      next.reject(error);
      return this.#next();
    }
    this.#current = next;
    const { bytes } = next.job;
    // A view into a shared buffer is copied; an exclusive buffer is transferred.
    const alone = bytes.byteLength === bytes.buffer.byteLength || (bytes.buffer as ArrayBuffer).resizable;
    const own = alone ? [bytes.buffer as ArrayBuffer] : [];
    this.#worker.postMessage(next.job, own);
  }

  #start(): Worker {
    const worker = this.#startThread();
    worker.unref();
    worker.on('message', (outcome: JsonOutcome) => {
      const done = this.#current;
      if (done?.job.id !== outcome.id) return;
      this.#current = undefined;
      if ('wrong' in outcome) done.reject(new JsonError(outcome.wrong));
      else done.resolve(outcome.bytes);
      this.#next();
    });
    const lost = (error: unknown) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      const broken = this.#current;
      this.#current = undefined;
      broken?.reject(error);
      this.#next();
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`the thread for JSON ended with ${code}`)));
    return worker;
  }
}
