import type { Worker } from 'node:worker_threads';
import { readProcessWork, readThreadWork } from './work-reading.js';
import { sampleIntervalMs, WorkTimer } from './work-timer.js';

/** A thread's first message: its id in /proc, if available. */
export interface ThreadStarted {
  readonly kind: 'started';
  readonly tid: number | undefined;
}

/** Why a thread answers no more; an Error is its own. */
export type ThreadLoss = 'ended' | 'closed' | 'overdue' | Error;

export interface LimitedThreadOptions<Answer> {
  /** Called once. May throw. */
  start(): Worker;
  /** Maximum work per answer, milliseconds. Time waiting for a CPU does not count. */
  readonly workMs: number;
  /** The answer to every request from then on. Called once. */
  lost(loss: ThreadLoss): Answer;
  /** What requests reject with if it ended before its first message, for want of memory or open files: no request is to blame. */
  notStarted(cause: unknown): Error;
}

/** Work that a thread may still do for its last answer when it is to end. */
const END_WORK_MS = 5000;

/** A thread that answers one request after another. It is terminated when an answer takes too much work. */
export class LimitedThread<Request, Answer extends { readonly kind: string }> {
  readonly #options: LimitedThreadOptions<Answer>;
  readonly #worker: Worker;
  readonly #limit: WorkTimer;
  #tid: number | undefined;
  #started = false;
  /** Messages that it owes: its first, and the answer to its request. */
  #owed = 1;
  /** Told when it owes none, or has ended. */
  #rested: (() => void) | undefined;
  #ending: Promise<void> | undefined;
  #settle: ((answer: Answer | Promise<Answer>) => void) | undefined;
  #lost: Answer | Promise<Answer> | undefined;

  constructor(options: LimitedThreadOptions<Answer>) {
    this.#options = options;
    this.#worker = options.start();
    this.#limit = this.#startLimit();
    this.#worker.on('message', (message: Answer | ThreadStarted) => {
      this.#owed -= 1;
      if (this.#owed === 0) this.#rested?.();
      if (!isStarted(message)) return this.#answered(message);
      this.#started = true;
      this.#tid = message.tid;
    });
    this.#worker.on('error', (error: Error) => this.#lose(error));
    this.#worker.on('messageerror', (error) => this.#lose(error));
    this.#worker.on('exit', () => {
      this.#owed = 0;
      this.#rested?.();
      this.#lose('ended');
    });
  }

  /** False once the thread has ended or failed. */
  get alive(): boolean {
    return this.#lost === undefined;
  }

  /** Resolves with its answer, or that of a lost thread; rejects if it could not be started. One at a time. */
  ask(request: Request, transfer: readonly ArrayBuffer[] = []): Promise<Answer> {
    return new Promise<Answer>((resolve) => {
      if (this.#lost !== undefined) return resolve(this.#lost);
      this.#limit.set(this.#options.workMs, () => {
        this.#lose('overdue');
        this.#worker.terminate().catch(() => undefined);
      });
      this.#settle = resolve;
      this.#owed += 1;
      this.#worker.postMessage(request, transfer);
    });
  }

  /** The idle thread does not keep the process alive. */
  unref(): void {
    this.#worker.unref();
  }

  ref(): void {
    this.#worker.ref();
  }

  /**
   * Ends the thread; a pending request gets the answer of a lost one at once. The thread is terminated when it has started or answered: what it
   * has open while it loads its program or a library would stay open for ever. Idempotent.
   */
  end(): Promise<void> {
    this.#lose('closed');
    this.#ending ??= this.#terminate();
    return this.#ending;
  }

  async #terminate(): Promise<void> {
    if (this.#owed > 0) {
      const limit = this.#startLimit();
      await new Promise<void>((resolve) => {
        this.#rested = resolve;
        limit.set(END_WORK_MS, resolve);
      });
      limit.close();
    }
    await this.#worker.terminate();
  }

  #startLimit(): WorkTimer {
    return new WorkTimer({
      // Until the thread has told its id, it works at most as much as the process.
      read: () => (this.#tid === undefined ? readProcessWork(process.pid) : readThreadWork(this.#tid)),
      everyMs: sampleIntervalMs(this.#options.workMs),
    });
  }

  #answered(answer: Answer | Promise<Answer>): void {
    this.#limit.clear();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }

  #lose(loss: ThreadLoss): void {
    this.#limit.close();
    this.#lost ??= this.#answerOf(loss);
    this.#answered(this.#lost);
  }

  #answerOf(loss: ThreadLoss): Answer | Promise<Answer> {
    if (this.#started || loss === 'closed' || loss === 'overdue') return this.#options.lost(loss);
    const rejected = Promise.reject(this.#options.notStarted(loss));
    // It may have no request yet.
    rejected.catch(() => {});
    return rejected;
  }
}

function isStarted(message: { readonly kind: string }): message is ThreadStarted {
  return message.kind === 'started';
}
