/** Assigns batches to the workers of one model: tracks idle workers, current runs and preemptions. Does not know the queue. */

import type { Outcome } from '../models/model.js';
import type { Priority } from '../priority.js';
import type { AdmissionController } from './admission-controller.js';
import type { Executor } from './executor.js';
import type { Entry } from './fair-queue.js';
import { deliver, type Job } from './job.js';
import type { Preemptible } from './preemption.js';

/** Callbacks for the metrics. */
export interface QueueObserver {
  batch?(facts: { readonly size: number; readonly runMs: number }): void;
  queued?(queueMs: number, priority: Priority): void;
  refused?(priority: Priority): void;
}

export interface DispatcherOptions<Item, Result> {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly observer: QueueObserver;
  /** Receives the measured run times. */
  readonly admission: AdmissionController;
  /** Whether the time of an item tells how long others of its cost take. */
  readonly typical: (item: Item) => boolean;
  /** Called for an item without an outcome whose run, of `batchSize` items, failed as a whole. */
  onFailed(entry: Entry<Job<Item, Result>>, error: unknown, batchSize: number): void;
  /** Called when a worker can accept a run, or a run a preemption. */
  onAvailable(): void;
}

type Batch<Item, Result> = readonly Entry<Job<Item, Result>>[];

/** The current run of a worker. */
interface Running extends Preemptible {
  /** Whether a preempting batch runs between its steps now. */
  preempted: boolean;
  /** Total cost and time of the preempting batches so far. */
  preemptedCost: number;
  preemptedMs: number;
}

export class Dispatcher<Item, Result> {
  readonly #options: DispatcherOptions<Item, Result>;
  readonly #executors = new Set<Executor<Item, Result>>();
  readonly #idle = new Set<Executor<Item, Result>>();
  readonly #running = new Map<Executor<Item, Result>, Running>();
  #runs = 0;

  constructor(options: DispatcherOptions<Item, Result>) {
    this.#options = options;
  }

  /** Number of workers. */
  get size(): number {
    return this.#executors.size;
  }

  /** Number of workers that can accept a run now. */
  get idle(): number {
    return this.#idle.size;
  }

  add(executor: Executor<Item, Result>): void {
    this.#executors.add(executor);
    this.#release(executor);
  }

  remove(executor: Executor<Item, Result>): void {
    this.#executors.delete(executor);
    this.#idle.delete(executor);
  }

  /**
   * Runs a batch on the idle worker that ran last: its weights and threads are still in the caches. Taking turns costs a lone
   * caller of a small model a quarter of each call (bench/serving). One with more threads goes first. Throws if there is none.
   */
  run(batch: Batch<Item, Result>): void {
    const idle = [...this.#idle];
    const threads = Math.max(...idle.map((one) => one.threads));
    const executor = idle.findLast((one) => one.threads === threads);
    if (executor === undefined) throw new Error('no worker is idle');
    this.#idle.delete(executor);
    const cost = sumOfCosts(batch);
    const running: Running = {
      priority: batch[0]?.flow.priority ?? 'interactive',
      flows: new Set(batch.map(({ flow }) => flow)),
      cost,
      longest: Math.max(...batch.map((entry) => entry.cost)),
      expectedMs: this.#options.admission.runMs(cost),
      preempted: false,
      preemptedCost: 0,
      preemptedMs: 0,
    };
    this.#running.set(executor, running);
    void this.#execute(executor, batch, running).then(() => {
      this.#running.delete(executor);
      // A preempting batch may still be running; it releases the worker when it ends.
      if (!running.preempted) this.#release(executor);
    });
  }

  /** Calls `next` for each run that is not preempted now, and preempts it with the returned batch, if not empty. */
  preempt(next: (run: Preemptible) => Batch<Item, Result>): void {
    for (const [executor, running] of this.#running) {
      if (running.preempted || !this.#executors.has(executor)) continue;
      const batch = next(running);
      if (batch.length > 0) void this.#preempt(executor, running, batch);
    }
  }

  /** Never rejects. */
  async #preempt(executor: Executor<Item, Result>, running: Running, batch: Batch<Item, Result>): Promise<void> {
    running.preempted = true;
    running.preemptedCost += sumOfCosts(batch);
    running.preemptedMs += await this.#execute(executor, batch, undefined);
    running.preempted = false;
    if (this.#running.get(executor) === running) this.#options.onAvailable();
    else this.#release(executor);
  }

  #release(executor: Executor<Item, Result>): void {
    if (this.#executors.has(executor)) this.#idle.add(executor);
    this.#options.onAvailable();
  }

  /**
   * Runs items and delivers each outcome as soon as it is known. Without `running`, the items preempt the worker's current
   * run. Returns the time in the worker. Never rejects.
   */
  async #execute(
    executor: Executor<Item, Result>,
    batch: Batch<Item, Result>,
    running: Running | undefined,
  ): Promise<number> {
    const { now, observer, admission, typical, onFailed } = this.#options;
    const startedAtMs = now();
    const jobs = batch.map((entry) => entry.item);
    for (const { item: job, flow } of batch) {
      job.attempts += 1;
      observer.queued?.(startedAtMs - job.submittedAtMs, flow.priority);
    }
    this.#runs += 1;
    const id = this.#runs;
    const settled = new Set<number>();
    const cost = sumOfCosts(batch);
    // Without items that were refused or cancelled: they took less time than their cost, or none.
    let answeredCost = 0;
    const settle = (index: number, outcome: Outcome<Result> | undefined, runMs: number) => {
      const entry = batch[index];
      if (entry === undefined || settled.has(index)) return;
      settled.add(index);
      const job = entry.item;
      if (outcome?.ok === true && typical(job.item)) answeredCost += entry.cost;
      const queueMs = startedAtMs - job.submittedAtMs;
      deliver(job, outcome, { id, startedAtMs, queueMs, runMs, batchSize: batch.length });
    };
    try {
      const answer = await executor.run(
        jobs.map(({ item }) => item),
        jobs.map(({ signal }) => signal),
        {
          preempting: running === undefined,
          // A retried item runs alone.
          poisonSuspect: jobs.some(({ attempts }) => attempts > 1),
          expectedMs: admission.runMs(cost),
          settled: settle,
        },
      );
      for (const index of jobs.keys()) settle(index, answer.outcomes[index], answer.runMs);
      // Preempting batches are recorded separately. A worker is also busy during the transfer to it and back.
      const otherMs = running?.preemptedMs ?? 0;
      if (answeredCost > 0) admission.recordRun(answeredCost, Math.max(answer.runMs, now() - startedAtMs) - otherMs);
      observer.batch?.({ size: batch.length, runMs: Math.max(0, answer.runMs - otherMs) });
      return answer.runMs;
    } catch (error) {
      for (const [index, entry] of batch.entries()) if (!settled.has(index)) onFailed(entry, error, batch.length);
      return now() - startedAtMs;
    }
  }
}

function sumOfCosts(batch: readonly Entry<unknown>[]): number {
  return batch.reduce((sum, { cost }) => sum + cost, 0);
}
