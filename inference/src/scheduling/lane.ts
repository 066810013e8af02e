/**
 * One model's lane: a bounded queue on one side, its workers on the other. No wait while a worker is idle; under load, what
 * has gathered goes out in batches. It knows neither processes nor protocols.
 */
import { InferenceError } from '../errors.js';
import { Backlog, type BatchLimits, type Entry, Flow, type Priority } from './backlog.js';
import { Crew, type LaneObserver } from './crew.js';
import type { Executor } from './executor.js';
import { mayInterrupt, roomBetween } from './interruption.js';
import { type Done, deadlineExceeded, type Job, lostTwice, type Submission } from './job.js';
import { type Place, Room, type RoomLimits } from './room.js';

export interface LaneOptions<Item> {
  /** Names the model in messages. */
  readonly name: string;
  readonly cost: (item: Item) => number;
  readonly kind: (item: Item) => string;
  /** Whether an item gains nothing from a batch. Absent: none does. */
  readonly alone?: (item: Item) => boolean;
  readonly limits: RoomLimits;
  readonly batch: BatchLimits;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly observer?: LaneObserver | undefined;
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

export class Lane<Item, Result> {
  readonly #options: LaneOptions<Item>;
  readonly #backlog = new Backlog<Job<Item, Result>>();
  readonly #room: Room;
  readonly #crew: Crew<Item, Result>;
  #batch: BatchLimits;
  #pumpQueued = false;
  #everReady = false;
  #closed = false;

  constructor(options: LaneOptions<Item>) {
    this.#options = options;
    this.#batch = options.batch;
    this.#room = new Room(options.name, options.limits);
    this.#crew = new Crew({
      now: options.now,
      observer: options.observer ?? {},
      room: this.#room,
      failed: (entry, error, batchSize) => this.#failed(entry, error, batchSize),
      free: () => this.#schedulePump(),
    });
  }

  /** Workers ready now. */
  get workers(): number {
    return this.#crew.size;
  }

  /** Items waiting for a run. */
  get waiting(): number {
    return this.#backlog.size;
  }

  /** Cost waiting for a run, in the family's unit. */
  get waitingCost(): number {
    return this.#backlog.cost;
  }

  /** Items in a run now or waiting for one. */
  get admitted(): number {
    return this.#room.items;
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
    this.#crew.add(executor);
  }

  removeExecutor(executor: Executor<Item, Result>): void {
    this.#crew.remove(executor);
  }

  /** A place for a call, or QUEUE_FULL, STARTING or WORKER_LOST at once. The caller closes it. */
  admit(request: AdmissionRequest): Admission<Item, Result> {
    this.#checkReady();
    const place = this.#takeRoom(request);
    const flow = new Flow(request.priority);
    const deadlineAtMs = request.deadlineAtMs ?? Number.POSITIVE_INFINITY;
    return {
      submit: async (item, signal) => {
        const cost = this.cost(item);
        const done = place.charge(cost);
        try {
          return await this.#submit({ item, cost, signal, flow, deadlineAtMs });
        } finally {
          done();
        }
      },
      close: () => place.leave(),
    };
  }

  /** QUEUE_FULL where even a call of one small item would get it now, counted as refused; else undefined. */
  refusal(): InferenceError | undefined {
    if (this.#closed || this.#crew.size === 0) return undefined;
    const refusal = this.#room.refusal(this.#crew.size);
    if (refusal !== undefined) this.#options.observer?.refused?.();
    return refusal;
  }

  /** Rejects all that waits, and everything from now on. */
  close(error: InferenceError): void {
    this.#closed = true;
    for (const { item: job } of this.#backlog.drain()) job.reject(error);
  }

  #checkReady(): void {
    const { name } = this.#options;
    if (this.#closed) throw new InferenceError('DRAINING', 'The server is shutting down; ask another one.');
    if (this.#crew.size > 0) return;
    const retryAfterMs = NOT_READY_RETRY_MS;
    if (this.#everReady) {
      throw new InferenceError('WORKER_LOST', `The ${name} model is being started again; try again.`, { retryAfterMs });
    }
    throw new InferenceError('STARTING', `The ${name} model is still loading; try again soon.`, { retryAfterMs });
  }

  #takeRoom(request: AdmissionRequest): Place {
    try {
      return this.#room.take(request, this.#crew.size);
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
        if (job.entry !== undefined) this.#backlog.remove(job.entry);
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
      this.#backlog.push(entry);
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
    while (this.#backlog.size > 0) {
      const { idle } = this.#crew;
      if (idle === 0) return this.#interruptRuns();
      // Idle workers share what waits instead of one taking it all.
      const share = Math.ceil(this.#backlog.size / idle);
      const limits = { ...this.#batch, maxItems: Math.min(this.#batch.maxItems, share) };
      const { batch, expired } = this.#backlog.take(limits, this.#options.now());
      for (const { item: job } of expired) job.reject(deadlineExceeded());
      if (batch.length > 0) this.#crew.run(batch);
    }
  }

  /** Lets short items go between the steps of long runs. */
  #interruptRuns(): void {
    const nowMs = this.#options.now();
    this.#crew.interrupt((run) =>
      this.#backlog.takeInteractive(
        // What has failed before might take the others along.
        (entry) => entry.item.attempts === 0 && entry.deadlineAtMs > nowMs && mayInterrupt(entry, run),
        { ...this.#batch, maxCost: Math.min(this.#batch.maxCost, roomBetween(run)) },
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
    this.#backlog.pushFront(job.entry);
  }
}
