import { Worker } from 'node:worker_threads';
import { MIB } from '@heimdex/common';
import type { HasherSubject, OpenHasher, PrefixHasher } from './prefix-hasher.js';
import { openInlineHasher } from './prefix-hasher.js';

/** Request to the thread. */
export type HashRequest =
  | ({ readonly op: 'open'; readonly id: number } & HasherSubject)
  | { readonly op: 'advance'; readonly id: number; readonly end: number }
  | { readonly op: 'rollback'; readonly id: number }
  | { readonly op: 'close'; readonly id: number };

/** Replies of the thread, one per request, in order. */
export type HashReply = { readonly hex: string } | { readonly failure: string; readonly code: string | undefined };

/** A smaller file is hashed faster than a thread starts. */
const INLINE_BYTES = 8 * MIB;

/**
 * Hashes large files in a worker thread, so that the main thread only receives bytes. Starts with the first large file; the
 * creator closes it. Where no thread can be started, at a limit of the system, this one hashes.
 */
export class HashThread {
  #worker: Worker | undefined;
  #closed = false;
  #nextId = 1;
  readonly #waiting: { readonly resolve: (hex: string) => void; readonly reject: (error: Error) => void }[] = [];

  /** Opens a hasher: in the worker thread for a large file, in this thread for a small one. */
  readonly open: OpenHasher = async (subject) => {
    if (subject.sizeBytes < INLINE_BYTES) return openInlineHasher(subject);
    const id = this.#nextId++;
    try {
      await this.#ask({ op: 'open', id, ...subject });
    } catch (error) {
      if (this.#worker !== undefined || this.#closed) throw error;
      return openInlineHasher(subject);
    }
    return this.#hasher(id);
  };

  /** Terminates the thread; pending requests fail. Idempotent. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#closed = true;
    await worker?.terminate();
    this.#failAll(new Error('The hash thread was closed'));
  }

  #hasher(id: number): PrefixHasher {
    let open = true;
    return {
      advance: (end) => this.#ask({ op: 'advance', id, end }),
      rollback: async () => void (await this.#ask({ op: 'rollback', id })),
      close: async () => {
        if (!open || this.#worker === undefined) return;
        open = false;
        await this.#ask({ op: 'close', id });
      },
    };
  }

  #ask(request: HashRequest): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#worker ??= this.#start();
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./hash-thread-worker.js', import.meta.url), {
      // The thread keeps one buffer and a few hash states: the default heap would be a waste.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    });
    worker.on('message', (reply: HashReply) => {
      const request = this.#waiting.shift();
      if ('hex' in reply) request?.resolve(reply.hex);
      // An error from the thread keeps its message alone, and the code tells a disk's error from a bug.
      else request?.reject(Object.assign(new Error(reply.failure), { code: reply.code }));
    });
    let failure = new Error('The hash thread ended');
    worker.on('error', (error: Error) => {
      failure = error;
    });
    // By now its own files are closed.
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#failAll(failure);
    });
    return worker;
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
