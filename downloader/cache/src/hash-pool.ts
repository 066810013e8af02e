/**
 * Hashes many files on several cores. A hash blocks its JavaScript thread, so each lane is a worker thread; a single file is
 * never split, since neither sha256 nor sha1 can be.
 */
import { Worker } from 'node:worker_threads';
import type { ContentHash } from './layout.js';

export interface HashTask {
  readonly type: ContentHash['type'];
  readonly path: string;
}

export type HashReply = { readonly hash: string } | { readonly failure: string };

interface Job {
  readonly task: HashTask;
  readonly resolve: (hash: string) => void;
  readonly reject: (error: Error) => void;
}

/** Worker threads that hash files. The creator closes it. */
export class HashPool {
  readonly #lanes: number;
  readonly #waiting: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  #closed = false;

  /** @param lanes Maximum threads; each is started on demand. */
  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** Returns the hash of a file. Rejects if it cannot be read, or if the pool is closed first. */
  hash(task: HashTask): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new Error('The hash pool is closed'));
        return;
      }
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Terminates the threads; pending hashes reject. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const error = new Error('The hash pool was closed');
    for (const job of this.#waiting.splice(0)) job.reject(error);
    const busy = [...this.#busy];
    this.#busy.clear();
    for (const [, job] of busy) job.reject(error);
    const workers = [...this.#idle.splice(0), ...busy.map(([worker]) => worker)];
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    const worker = this.#idle.pop() ?? (this.#busy.size < this.#lanes ? this.#start() : undefined);
    const job = worker === undefined ? undefined : this.#waiting.shift();
    if (worker === undefined || job === undefined) return;
    this.#busy.set(worker, job);
    worker.postMessage(job.task);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./hash-worker.js', import.meta.url));
    worker.on('message', (reply: HashReply) => {
      const job = this.#release(worker);
      this.#idle.push(worker);
      if ('hash' in reply) job?.resolve(reply.hash);
      else job?.reject(new Error(reply.failure));
      this.#next();
    });
    worker.on('error', (error) => {
      this.#release(worker)?.reject(error instanceof Error ? error : new Error(String(error)));
      this.#next();
    });
    return worker;
  }

  #release(worker: Worker): Job | undefined {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    return job;
  }
}
