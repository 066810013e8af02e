/**
 * One model's lane: a bounded queue on one side, its workers on the other. No wait while a worker is idle; under load, what
 * has gathered goes out in batches. It knows neither processes nor protocols.
 */
import { InferenceError } from '../errors.js';
import { AdmissionController, type AdmissionLimits, type Permit } from './admission-controller.js';
import { Dispatcher, type QueueObserver } from './dispatcher.js';
import type { Executor } from './executor.js';
import { type BatchLimits, type Entry, FairQueue, Flow, type Priority } from './fair-queue.js';
import { type Done, deadlineExceeded, type Job, lostTwice, type Submission } from './job.js';
import { mayPreempt, preemptionBudget } from './preemption.js';

export interface ModelQueueOptions<Item> {
  /** Names the model in messages. */
  readonly name: string;
  readonly cost: (item: Item) => number;
  readonly kind: (item: Item) => string;
  /** Whether an item gains nothing from a batch. Absent: none does. */
  readonly alone?: (item: Item) => boolean;
  readonly limits: AdmissionLimits;
  readonly batch: BatchLimits;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly observer?: QueueObserver | undefined;
}

export interface AdmissionRequest {
  readonly items: number;
  /** Sum of the items' costs. Undefined: one item at a time, whose cost is not known before it is submitted. */
  readonly cost: number | undefined;
  readonly priority: Priority;
  /** Monotonic milliseconds; Infinity: none. */
  readonly deadlineAtMs?: number;
}

/** A call's place in the lane. What it was admitted with is never refused later. */
export interface Admission<Item, Result> {
  /** Resolves when the item has run. Rejects with the item's error, or with the signal's reason when it is aborted. */
  submit(item: Item, signal: AbortSignal): Promise<Done<Result>>;
  /** Gives the place back. Idempotent. */
  close(): void;
}

/** An item whose run failed as a whole is run once more, alone; a second failure is its error. */
const MAX_ATTEMPTS = 2;
/** What RetryInfo says while no worker is ready. */
const NOT_READY_RETRY_MS = 1000;

export class ModelQueue<Item, Result> {
  readonly #options: ModelQueueOptions<Item>;
  readonly #fairQueue = new FairQueue<Job<Item, Result>>();
  readonly #admission: AdmissionController;
  readonly #dispatcher: Dispatcher<Item, Result>;
  #batch: BatchLimits;
  #pumpQueued = false;
  #everReady = false;
  #closed = false;

  constructor(options: ModelQueueOptions<Item>) {
    this.#options = options;
    this.#batch = options.batch;
    this.#admission = new AdmissionController(options.name, options.limits);
    this.#dispatcher = new Dispatcher({
      now: options.now,
      observer: options.observer ?? {},
      admission: this.#admission,
      failed: (entry, error, batchSize) => this.#failed(entry, error, batchSize),
      free: () => this.#schedulePump(),
    });
  }

  /** Workers ready now. */
  get workers(): number {
    return this.#dispatcher.size;
  }

  /** Items waiting for a run. */
  get waiting(): number {
    return this.#fairQueue.size;
  }

  /** Cost waiting for a run, in the family's unit. */
  get waitingCost(): number {
    return this.#fairQueue.cost;
  }

  /** Items in a run now or waiting for one. */
  get admitted(): number {
    return this.#admission.items;
  }

  cost(item: Item): number {
    return Math.max(1e-6, this.#options.cost(item));
  }

  /** How many items may share a run; a model says so when it is loaded. */
  limitBatch(maxItems: number): void {
    this.#batch = { ...this.#batch, maxItems: Math.max(1, maxItems) };
  }

  addExecutor(executor: Executor<Item, Result>): void {
    this.#everReady = true;
    this.#dispatcher.add(executor);
  }

  removeExecutor(executor: Executor<Item, Result>): void {
    this.#dispatcher.remove(executor);
  }

  /** A place for a call, or QUEUE_FULL, STARTING or WORKER_LOST at once. The caller closes it. */
  admit(request: AdmissionRequest): Admission<Item, Result> {
    this.#checkReady();
    const permit = this.#acquirePermit(request);
    const flow = new Flow(request.priority);
    const deadlineAtMs = request.deadlineAtMs ?? Number.POSITIVE_INFINITY;
    return {
      submit: async (item, signal) => {
        const cost = this.cost(item);
        const done = permit.charge(cost);
        try {
          return await this.#submit({ item, cost, signal, flow, deadlineAtMs });
        } finally {
          done();
        }
      },
      close: () => permit.release(),
    };
  }

  /** QUEUE_FULL where even a call of one small item would get it now, counted as refused; else undefined. */
  refusal(): InferenceError | undefined {
    if (this.#closed || this.#dispatcher.size === 0) return undefined;
    const refusal = this.#admission.refusal(this.#dispatcher.size);
    if (refusal !== undefined) this.#options.observer?.refused?.();
    return refusal;
  }

  /** Rejects all that waits, and everything from now on. */
  close(error: InferenceError): void {
    this.#closed = true;
    for (const { item: job } of this.#fairQueue.drain()) job.reject(error);
  }

  #checkReady(): void {
    const { name } = this.#options;
    if (this.#closed) throw new InferenceError('DRAINING', 'The server is shutting down; ask another one.');
    if (this.#dispatcher.size > 0) return;
    const retryAfterMs = NOT_READY_RETRY_MS;
    if (this.#everReady) {
      throw new InferenceError('WORKER_LOST', `The ${name} model is being started again; try again.`, { retryAfterMs });
    }
    throw new InferenceError('STARTING', `The ${name} model is still loading; try again soon.`, { retryAfterMs });
  }

  #acquirePermit(request: AdmissionRequest): Permit {
    try {
      return this.#admission.acquire(request, this.#dispatcher.size);
    } catch (error) {
      this.#options.observer?.refused?.();
      throw error;
    }
  }

  #submit({ item, cost, signal, flow, deadlineAtMs }: Submission<Item>): Promise<Done<Result>> {
    return new Promise<Done<Result>>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#closed) return reject(new InferenceError('DRAINING', 'The server is shutting down; ask another one.'));
      const abandon = () => {
        if (job.entry !== undefined) this.#fairQueue.remove(job.entry);
        reject(signal.reason);
      };
      const settle = <Value>(then: (value: Value) => void) => {
        return (value: Value) => {
          signal.removeEventListener('abort', abandon);
          then(value);
        };
      };
      const job: Job<Item, Result> = {
        item,
        signal,
        submittedAtMs: this.#options.now(),
        attempts: 0,
        entry: undefined,
        resolve: settle(resolve),
        reject: settle(reject),
      };
      signal.addEventListener('abort', abandon, { once: true });
      const entry = {
        item: job,
        flow,
        cost,
        kind: this.#options.kind(item),
        deadlineAtMs,
        alone: this.#options.alone?.(item) ?? false,
      };
      job.entry = entry;
      this.#fairQueue.push(entry);
      this.#schedulePump();
    });
  }

  /** After the current tick's submits, so that the items of one call can share a batch. */
  #schedulePump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#fairQueue.size > 0) {
      const { idle } = this.#dispatcher;
      if (idle === 0) return this.#preemptRuns();
      // Idle workers share what waits instead of one taking it all.
      const share = Math.ceil(this.#fairQueue.size / idle);
      const limits = { ...this.#batch, maxItems: Math.min(this.#batch.maxItems, share) };
      const { batch, expired } = this.#fairQueue.take(limits, this.#options.now());
      for (const { item: job } of expired) job.reject(deadlineExceeded());
      if (batch.length > 0) this.#dispatcher.run(batch);
    }
  }

  /** Lets short items go between the steps of long runs. */
  #preemptRuns(): void {
    const nowMs = this.#options.now();
    this.#dispatcher.preempt((run) =>
      this.#fairQueue.takeInteractive(
        // What has failed before might take the others along.
        (entry) => entry.item.attempts === 0 && entry.deadlineAtMs > nowMs && mayPreempt(entry, run),
        { ...this.#batch, maxCost: Math.min(this.#batch.maxCost, preemptionBudget(run)) },
      ),
    );
  }

  /** What failed with others may not be to blame, and what lost its worker may have been unlucky: once more, alone. */
  #failed(entry: Entry<Job<Item, Result>>, error: unknown, batchSize: number): void {
    const job = entry.item;
    const lost = error instanceof InferenceError && error.code === 'WORKER_LOST';
    const again = lost || batchSize > 1;
    const triedOut = job.attempts >= MAX_ATTEMPTS;
    if (lost && triedOut && batchSize === 1) return job.reject(lostTwice());
    if (!again || triedOut || job.signal.aborted || this.#closed) return job.reject(error);
    job.entry = { ...entry, alone: true };
    this.#fairQueue.pushFront(job.entry);
  }
}
