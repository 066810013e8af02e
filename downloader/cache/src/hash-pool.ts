/**
 * Hashes many files on several cores. A hash in JavaScript holds its thread, so each lane is a thread of its own; one
 * file is never split, for neither sha256 nor sha1 can be.
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

/** Threads that hash files. Whoever makes one closes it. */
export class HashPool {
  readonly #lanes: number;
  readonly #waiting: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  #closed = false;

  /** @param lanes Threads at most; each is started when it is first needed. */
  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** The hash of a file. Rejects when it cannot be read, and when the pool is closed before its turn ends. */
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

  /** Ends the threads at once; what is under way is rejected. Idempotent. */
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
