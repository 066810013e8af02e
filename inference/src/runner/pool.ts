/** The workers of one model: started, replaced when they are lost, given up when they keep dying. */
import type { Logger } from 'pino';
import type { ModelFacts } from '../models/model.js';
import { isUnusable } from '../models/session/optimized/use.js';
import type { Executor } from '../scheduling/executor.js';
import { backoffMs } from './backoff.js';
import { processMemoryBytes } from './memory.js';
import { WorkerProcess, type WorkerProcessOptions, type WorkerReady } from './worker-process.js';

export interface PoolOptions {
  /** Names the model in logs and messages: `siglip`. */
  readonly name: string;
  readonly workers: number;
  readonly worker: Omit<WorkerProcessOptions, 'output'>;
  /** So many losses in a row, without a run that succeeded between them, and the model is given up. */
  readonly maxLosses: number;
  readonly log: Logger;
  ready(executor: Executor<unknown, unknown>, facts: ModelFacts): void;
  lost(executor: Executor<unknown, unknown>): void;
  /** The model cannot be served: it does not load, or its workers keep dying. Once. */
  failed(message: string): void;
}

/** A worker that lived this long before it was lost starts the count of losses anew. */
const STEADY_MS = 60_000;

export class Pool {
  readonly #options: PoolOptions;
  readonly #alive = new Set<WorkerProcess>();
  readonly #slots: Promise<void>[] = [];
  readonly #closing = new AbortController();
  #facts: ModelFacts | undefined;
  #loadSeconds = 0;
  #losses = 0;
  #restarts = 0;

  /** Starts one worker; `grow` starts the others. */
  constructor(options: PoolOptions) {
    this.#options = options;
    this.#slots.push(this.#keep(0));
  }

  /** Starts the workers that are not started yet: they need not hold up the time when the server is ready. Idempotent. */
  grow(): void {
    if (this.#closing.signal.aborted) return;
    while (this.#slots.length < this.#options.workers) this.#slots.push(this.#keep(this.#slots.length));
  }

  /** Of the loaded model; undefined until a worker was ready. */
  get facts(): ModelFacts | undefined {
    return this.#facts;
  }

  /** How long the slowest of the first starts took, warm-up included. */
  get loadSeconds(): number {
    return this.#loadSeconds;
  }

  /** Workers that were started again so far. */
  get restarts(): number {
    return this.#restarts;
  }

  get pids(): readonly number[] {
    return [...this.#alive].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  async memoryBytes(): Promise<number> {
    const sizes = await Promise.all(this.pids.map(processMemoryBytes));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Ends the workers and waits until they are gone. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const worker of this.#alive) worker.kill('the server is ending');
    await Promise.all(this.#slots);
  }

  /** Keeps one worker running until the pool closes or gives up. Never rejects. */
  async #keep(index: number): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      const end = await this.#live(index);
      if (signal.aborted) return;
      // An item that was tried again and lost its worker again has been counted: the model need not be at fault.
      if (!end.killedByPoisonSuspect) this.#losses = performance.now() - startedAtMs > STEADY_MS ? 1 : this.#losses + 1;
      if ((end.loadFailure && this.#facts === undefined) || this.#losses >= this.#options.maxLosses) {
        return this.#giveUp(end.loadFailure, end.reason);
      }
      const delayMs = backoffMs(this.#losses);
      log.error(
        { model: this.#options.name, worker: index, reason: end.reason, delayMs },
        'worker lost, starting another',
      );
      this.#restarts += 1;
      await sleep(delayMs, signal);
    }
  }

  /** One worker from its start to its end. */
  async #live(index: number) {
    const { name, log } = this.#options;
    const worker = new WorkerProcess({
      ...this.#options.worker,
      output: (line) => log.warn({ model: name, worker: index }, line),
    });
    this.#alive.add(worker);
    const executor: Executor<unknown, unknown> = {
      run: async (items, signals, runOptions) => {
        const answer = await worker.run(items, signals, runOptions);
        this.#losses = 0;
        return answer;
      },
    };
    void worker.ready.then(
      (ready) => this.#onReady(executor, ready, index, worker.pid),
      () => {},
    );
    const end = await worker.ended;
    this.#alive.delete(worker);
    this.#options.lost(executor);
    return end;
  }

  #onReady(executor: Executor<unknown, unknown>, ready: WorkerReady, index: number, pid: number | undefined): void {
    if (this.#closing.signal.aborted) return;
    const { name, log } = this.#options;
    const seconds = (ready.loadMs + ready.warmUpMs) / 1000;
    if (this.#restarts === 0) this.#loadSeconds = Math.max(this.#loadSeconds, seconds);
    this.#facts = ready.facts;
    const warmUpMs = Math.round(ready.warmUpMs);
    const prepared = ready.graphs.some((graph) => graph.prepared);
    const batchItems = ready.facts.batching.shared ? ready.facts.batching.maxItems : 1;
    log.info({ model: name, worker: index, pid, warmUpMs, prepared, batchItems }, `Loaded in ${seconds.toFixed(2)}s`);
    for (const use of ready.graphs.filter(isUnusable)) {
      log.warn({ model: name, worker: index, graph: use.graph }, `Loaded from its plain file: ${use.reason}`);
    }
    this.#options.ready(executor, ready.facts);
  }

  #giveUp(loadFailure: boolean, reason: string): void {
    const { name, maxLosses } = this.#options;
    const what = loadFailure
      ? `The ${name} model does not load`
      : `The ${name} model's process died ${maxLosses} times in a row`;
    this.#closing.abort();
    for (const worker of this.#alive) worker.kill('its model was given up');
    this.#options.failed(`${what}: ${reason}`);
  }
}

/** Resolves early when aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
