/**
 * Hashes many files on several cores. A hash blocks its JavaScript thread, so each lane is a worker thread; a single file is
 * never split, since neither sha256 nor sha1 can be.
 */
import { Worker } from 'node:worker_threads';
import { hashFile } from './content-hash.js';
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

/**
 * Worker threads that hash files. The creator closes it. Where none can be started, at a limit of the system, this thread hashes: no file is
 * to blame.
 */
export class HashPool {
  /** Maximum threads: fewer once one was lost or could not be started. */
  #lanes: number;
  #hashesHere = false;
  readonly #waiting: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  readonly #closing = new AbortController();

  /** @param lanes Maximum threads; each is started on demand. */
  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** Returns the hash of a file. Rejects if it cannot be read, or if the pool is closed first. */
  hash(task: HashTask): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) {
        reject(new Error('The hash pool is closed'));
        return;
      }
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Terminates the threads; pending hashes reject. Idempotent. */
  async close(): Promise<void> {
    const error = new Error('The hash pool was closed');
    this.#closing.abort(error);
    for (const job of this.#waiting.splice(0)) job.reject(error);
    const busy = [...this.#busy];
    this.#busy.clear();
    for (const [, job] of busy) job.reject(error);
    const workers = [...this.#idle.splice(0), ...busy.map(([worker]) => worker)];
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    while (this.#idle.length > 0 || this.#busy.size < this.#lanes) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      const worker = this.#idle.pop() ?? this.#start();
      if (worker === undefined) {
        this.#waiting.unshift(job);
        this.#lanes = this.#busy.size;
        break;
      }
      this.#busy.set(worker, job);
      worker.postMessage(job.task);
    }
    if (this.#lanes === 0) void this.#hashHere();
  }

  /** One file at a time: few more may be open. */
  async #hashHere(): Promise<void> {
    if (this.#hashesHere) return;
    this.#hashesHere = true;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      await hashFile(job.task.type, job.task.path, this.#closing.signal).then(job.resolve, job.reject);
    }
    this.#hashesHere = false;
  }

  #start(): Worker | undefined {
    let worker: Worker;
    try {
      worker = new Worker(new URL('./hash-worker.js', import.meta.url));
    } catch {
      return undefined;
    }
    worker.on('message', (reply: HashReply) => {
      const job = this.#release(worker);
      this.#idle.push(worker);
      if ('hash' in reply) job?.resolve(reply.hash);
      else job?.reject(new Error(reply.failure));
      this.#next();
    });
    worker.on('error', () => {});
    // Not because a file cannot be read: it could not begin, or has lost its memory. By now its own files are closed.
    worker.on('exit', () => {
      const job = this.#release(worker);
      if (job !== undefined) this.#waiting.unshift(job);
      if (this.#idle.includes(worker)) this.#idle.splice(this.#idle.indexOf(worker), 1);
      this.#lanes -= 1;
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
