/**
 * The scheduler of one model: a bounded queue in front of its workers. Items run immediately while a worker is idle; under
 * load, queued items run in batches. Knows neither processes nor protocols.
 */
import { InferenceError, serverDraining } from '../errors.js';
import type { FamilySpec } from '../models/model.js';
import type { Priority } from '../priority.js';
import { AdmissionController, type AdmissionLimits, type Permit, type PermitRequest } from './admission-controller.js';
import { Dispatcher, type QueueObserver } from './dispatcher.js';
import type { Executor } from './executor.js';
import { type BatchLimits, type Entry, FairQueue, Flow } from './fair-queue.js';
import { type Done, deadlineExceeded, type Job, workerLostTwice } from './job.js';
import { mayPreempt, preemptionBudget } from './preemption.js';

export interface ModelQueueOptions<Item> extends Pick<FamilySpec<Item>, 'cost' | 'kind' | 'alone' | 'typical'> {
  /** The model's name in messages. */
  readonly name: string;
  readonly limits: AdmissionLimits;
  readonly batch: BatchLimits;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Estimated milliseconds until a worker is ready, while none is. Default: not known. */
  readonly readyInMs?: () => number;
  readonly observer?: QueueObserver | undefined;
}

export interface AdmissionRequest extends PermitRequest {
  /** Monotonic milliseconds; default Infinity: none. */
  readonly deadlineAtMs?: number;
}

/** An admitted call. Its items are never refused later. */
export interface Admission<Item, Result> {
  /** Resolves when the item has run. Rejects with the item's error, or with the signal's reason on abort. */
  submit(item: Item, signal: AbortSignal): Promise<Done<Result>>;
  /** Releases the permit. Idempotent. */
  close(): void;
}

/** An item whose run failed as a whole is retried once, alone; the second failure is its error. */
const MAX_ATTEMPTS = 2;
/** Minimum RetryInfo delay while no worker is ready. */
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
      typical: (item) => options.typical?.(item) ?? true,
      onFailed: (entry, error, batchSize) => this.#failed(entry, error, batchSize),
      onAvailable: () => this.#schedulePump(),
    });
  }

  /** Number of ready workers. */
  get workers(): number {
    return this.#dispatcher.size;
  }

  /** Number of items of a class waiting for a run. */
  waitingOf(priority: Priority): number {
    return this.#fairQueue.sizeOf(priority);
  }

  /** Total cost of the waiting items, in the family's unit. */
  get waitingCost(): number {
    return this.#fairQueue.cost;
  }

  cost(item: Item): number {
    return Math.max(1e-6, this.#options.cost(item));
  }

  /** Sets the maximum number of items per run; known once the model is loaded. */
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

  /** Admits a call, or throws QUEUE_FULL, STARTING, WORKER_LOST or DRAINING immediately. The caller must close the admission. */
  admit(request: AdmissionRequest): Admission<Item, Result> {
    this.#checkReady();
    const permit = this.#acquirePermit(request);
    const flow = new Flow(request.priority);
    const deadlineAtMs = request.deadlineAtMs ?? Number.POSITIVE_INFINITY;
    return {
      submit: (item, signal) => {
        const cost = this.cost(item);
        const kind = this.#options.kind?.(item) ?? '';
        const alone = this.#options.alone?.(item) ?? false;
        const submitted = this.#submit(item, signal, { flow, cost, kind, deadlineAtMs, alone });
        return submitted.finally(permit.charge(cost));
      },
      close: () => permit.release(),
    };
  }

  /** Returns QUEUE_FULL, counted as a refusal, if even a call with one small item would be refused now; else undefined. */
  refusal(priority: Priority): InferenceError | undefined {
    if (this.#closed || this.#dispatcher.size === 0) return undefined;
    const refusal = this.#admission.refusal(priority, this.#dispatcher.size);
    if (refusal !== undefined) this.#options.observer?.refused?.(priority);
    return refusal;
  }

  /** Rejects all waiting items and all later ones. */
  close(error: InferenceError): void {
    this.#closed = true;
    for (const { item: job } of this.#fairQueue.drain()) job.reject(error);
  }

  #checkReady(): void {
    const { name, readyInMs } = this.#options;
    if (this.#closed) throw serverDraining();
    if (this.#dispatcher.size > 0) return;
    const retryAfterMs = Math.max(NOT_READY_RETRY_MS, readyInMs?.() ?? 0);
    if (this.#everReady) {
      throw new InferenceError('WORKER_LOST', `The ${name} model is restarting; retry.`, { retryAfterMs });
    }
    throw new InferenceError('STARTING', `The ${name} model is still loading; retry soon.`, { retryAfterMs });
  }

  #acquirePermit(request: AdmissionRequest): Permit {
    try {
      return this.#admission.acquire(request, this.#dispatcher.size);
    } catch (error) {
      this.#options.observer?.refused?.(request.priority);
      throw error;
    }
  }

  #submit(item: Item, signal: AbortSignal, order: Omit<Entry<unknown>, 'item'>): Promise<Done<Result>> {
    return new Promise<Done<Result>>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#closed) return reject(serverDraining());
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
      job.entry = { ...order, item: job };
      this.#fairQueue.push(job.entry);
      this.#schedulePump();
    });
  }

  /** Runs after the submits of the current tick: the items of one call can share a batch then. */
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
      // Divides the waiting items among the idle workers.
      const share = Math.ceil(this.#fairQueue.size / idle);
      const limits = { ...this.#batch, maxItems: Math.min(this.#batch.maxItems, share) };
      const { batch, expired } = this.#fairQueue.take(limits, this.#options.now());
      for (const { item: job } of expired) job.reject(deadlineExceeded());
      if (batch.length > 0) this.#dispatcher.run(batch);
    }
  }

  /** Preempts long runs with short items. */
  #preemptRuns(): void {
    const nowMs = this.#options.now();
    this.#dispatcher.preempt((run) =>
      this.#fairQueue.takeInteractive(
        // An item that failed before could make the run fail as well.
        (entry) => entry.item.attempts === 0 && entry.deadlineAtMs > nowMs && mayPreempt(entry, run),
        { ...this.#batch, maxCost: Math.min(this.#batch.maxCost, preemptionBudget(run)) },
      ),
    );
  }

  /** Retries an item once, alone: another item of the batch, or chance, may have caused the failure. */
  #failed(entry: Entry<Job<Item, Result>>, error: unknown, batchSize: number): void {
    const job = entry.item;
    const lost = error instanceof InferenceError && error.code === 'WORKER_LOST';
    if (job.attempts >= MAX_ATTEMPTS) return job.reject(lost ? workerLostTwice() : error);
    const retryable = lost || batchSize > 1;
    if (!retryable || job.signal.aborted || this.#closed) return job.reject(error);
    job.entry = { ...entry, alone: true };
    this.#fairQueue.pushFront(job.entry);
  }
}
