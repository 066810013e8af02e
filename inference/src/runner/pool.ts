/**
 * The worker processes of one model: starts them, restarts lost ones with a rising pause, gives up if they keep dying while they start. One
 * that was ready has run: its loss is that of an input, or chance, and must not end the other models.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { exponentialDelayMs, messageOf } from '@heimdex/common';
import type { Logger } from 'pino';
import type { ModelFacts } from '../models/model.js';
import { isUnusable } from '../models/session/optimized/use.js';
import type { Executor } from '../scheduling/executor.js';
import { processMemoryBytes } from './memory.js';
import { type WorkerEnd, WorkerProcess, type WorkerProcessOptions, type WorkerReady } from './worker-process.js';

export interface PoolOptions {
  /** The model's name in logs and messages, such as `siglip`. */
  readonly name: string;
  readonly workers: number;
  /** Number of workers with the threads of `worker.load`; the others have its `sharedThreads`. */
  readonly wideWorkers: number;
  readonly worker: Omit<WorkerProcessOptions, 'ending' | 'output' | 'slow'>;
  /** Maximum consecutive losses of workers that were not ready, while no other was; then the pool gives up. */
  readonly maxLosses: number;
  /** Default STABLE_MS. */
  readonly stableMs?: number;
  /** Default END_MS. */
  readonly endMs?: number;
  readonly log: Logger;
  ready(executor: Executor<unknown, unknown>, facts: ModelFacts): void;
  /** Called as soon as it is being killed, and again when it has ended. */
  lost(executor: Executor<unknown, unknown>): void;
  /** Called once if the model cannot be served: it does not load, or its workers keep dying while they start. */
  failed(message: string): void;
}

/** The loss of a worker that was ready for longer restarts the count of losses. */
const STABLE_MS = 60_000;
/** A killed worker has ended within this time, unless it waits for a disk or a volume that hangs: no signal ends it before that. */
const END_MS = 5000;
/** The pause before a restart: none after the first loss in a row, then this long, doubled each time up to the maximum. */
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;

interface Loss extends WorkerEnd {
  /** How long it was ready; undefined: never. */
  readonly readyMs: number | undefined;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #alive = new Set<WorkerProcess>();
  readonly #ready = new Set<WorkerProcess>();
  readonly #slots: Promise<void>[] = [];
  readonly #closing = new AbortController();
  #facts: ModelFacts | undefined;
  #loadSeconds = 0;
  /** Consecutive losses of workers that were not ready for long, however many runs they answered: each costs a load. */
  #losses = 0;
  /** Consecutive losses of workers that were not ready, while no other was. */
  #failedStarts = 0;
  #restarts = 0;
  /** When each worker that is not ready starts or has started, by slot. */
  readonly #startsAtMs = new Map<number, number>();

  /** Starts the first worker; `grow` starts the others. */
  constructor(options: PoolOptions) {
    this.#options = options;
    this.#slots.push(this.#supervise(0));
  }

  /** Starts the remaining workers, after the server is ready: they must not delay it; none once closed. Idempotent. */
  grow(): void {
    while (this.#slots.length < this.#options.workers) this.#slots.push(this.#supervise(this.#slots.length));
  }

  /** Facts of the loaded model; undefined until the first worker is ready. */
  get facts(): ModelFacts | undefined {
    return this.#facts;
  }

  /** Longest load time of the initial starts in seconds, warm-up included. */
  get loadSeconds(): number {
    return this.#loadSeconds;
  }

  /** Number of restarts. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Estimated time until the next worker is ready: what is left of its pause and of a load as the first ones took it; 0 if not known. */
  get readyInMs(): number {
    const next = Math.min(...this.#startsAtMs.values());
    return Number.isFinite(next) ? Math.max(0, next + this.#loadSeconds * 1000 - performance.now()) : 0;
  }

  get pids(): readonly number[] {
    return [...this.#alive].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  async memoryBytes(): Promise<number> {
    const sizes = await Promise.all(this.pids.map(processMemoryBytes));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Kills the workers and waits until they have ended, or for `endMs`. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const worker of this.#alive) worker.kill('the server is shutting down');
    const { name, log, endMs = END_MS } = this.#options;
    await Promise.race([Promise.all(this.#slots), sleep(endMs, undefined, { ref: false })]);
    if (this.#alive.size > 0) log.warn({ model: name, pids: this.pids }, 'workers were killed but have not ended');
  }

  /** Keeps one worker running until the pool closes or gives up. Never rejects. */
  async #supervise(index: number): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const end = await this.#runWorker(index);
      if (signal.aborted) return;
      if (end.readyMs === undefined && this.#ready.size === 0) this.#failedStarts += 1;
      // The first loss of a retried item was counted already: the item, not the model, may be the cause.
      const { stableMs = STABLE_MS } = this.#options;
      if (!end.killedByPoisonSuspect) this.#losses = (end.readyMs ?? 0) > stableMs ? 1 : this.#losses + 1;
      if ((end.loadFailure && this.#facts === undefined) || this.#failedStarts >= this.#options.maxLosses) {
        return this.#giveUp(end.loadFailure, end.reason);
      }
      const again = this.#losses - 1;
      const delayMs = again < 1 ? 0 : exponentialDelayMs(again, FIRST_PAUSE_MS, MAX_PAUSE_MS);
      this.#startsAtMs.set(index, performance.now() + delayMs);
      log.error({ model: this.#options.name, worker: index, reason: end.reason, delayMs }, 'worker lost, restarting');
      this.#restarts += 1;
      // Ends early on abort.
      await sleep(delayMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Runs one worker from its start to its end. */
  async #runWorker(index: number): Promise<Loss> {
    const { name, log } = this.#options;
    const { load } = this.#options.worker;
    const threads = index < this.#options.wideWorkers ? load.threads : (load.sharedThreads ?? load.threads);
    let worker: WorkerProcess;
    try {
      worker = new WorkerProcess({
        ...this.#options.worker,
        load: { ...load, threads },
        ending: () => {
          this.#ready.delete(worker);
          this.#options.lost(worker);
        },
        output: (line) => log.warn({ model: name, worker: index }, line),
        slow: (run) => log.warn({ model: name, worker: index, pid: worker.pid, ...run }, 'slow run'),
      });
    } catch (error) {
      return notStarted(error);
    }
    this.#alive.add(worker);
    let readyAtMs: number | undefined;
    void worker.ready.then(
      (ready) => {
        readyAtMs = performance.now();
        this.#ready.add(worker);
        this.#startsAtMs.delete(index);
        this.#failedStarts = 0;
        this.#onReady(worker, ready, index);
      },
      () => {},
    );
    const end = await worker.ended;
    this.#alive.delete(worker);
    this.#ready.delete(worker);
    this.#options.lost(worker);
    return { ...end, readyMs: readyAtMs === undefined ? undefined : performance.now() - readyAtMs };
  }

  #onReady(worker: WorkerProcess, ready: WorkerReady, index: number): void {
    if (this.#closing.signal.aborted) return;
    const { name, log } = this.#options;
    const seconds = (ready.loadMs + ready.warmUpMs) / 1000;
    if (this.#restarts === 0) this.#loadSeconds = Math.max(this.#loadSeconds, seconds);
    this.#facts = ready.facts;
    const warmUpMs = Math.round(ready.warmUpMs);
    const prepared = ready.graphs.some((graph) => graph.prepared);
    const batchItems = ready.facts.batching.maxItems;
    // In the words of the service before, which searches of its logs know: no space before the unit.
    log.info(
      { model: name, worker: index, pid: worker.pid, warmUpMs, prepared, batchItems },
      `Loaded in ${seconds.toFixed(2)}s`,
    );
    for (const use of ready.graphs.filter(isUnusable)) {
      log.warn({ model: name, worker: index, graph: use.graph }, `Loaded without its optimized model: ${use.reason}`);
    }
    this.#options.ready(worker, ready.facts);
  }

  #giveUp(loadFailure: boolean, reason: string): void {
    const { name, maxLosses } = this.#options;
    const problem = loadFailure
      ? `The ${name} model failed to load`
      : `The worker process of the ${name} model died ${maxLosses} times in a row while it started`;
    this.#closing.abort();
    for (const worker of this.#alive) worker.kill('the model was given up');
    this.#options.failed(`${problem}: ${reason}`);
  }
}

/** Another start may succeed, when files, memory or processes are free again. */
function notStarted(error: unknown): Loss {
  const reason = `the process could not be started: ${messageOf(error)}`;
  return { reason, loadFailure: false, killedByPoisonSuspect: false, readyMs: undefined };
}
