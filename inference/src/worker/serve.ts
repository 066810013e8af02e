/** The worker's message loop: loads one model, warms it up and runs batches sequentially. */
import { existsSync } from 'node:fs';
import { InferenceError } from '../errors.js';
import type { Loader } from '../models/loaders.js';
import type { LoadedModel, ModelFacts, ModelFiles, RunContext } from '../models/model.js';
import type { FamilyName } from '../models/registry.js';
import { GPU_MEMORY_REMEDY, gpuMemoryProblem } from '../models/session/gpu-memory.js';
import type { GraphUse } from '../models/session/optimized/use.js';
import { type FromWorker, type SettledItem, type ToWorker, toWireOutcome } from '../runner/messages.js';
import { collectAtRest } from './rest.js';

type AnyModel = LoadedModel<unknown, unknown>;
type LoadMessage = Extract<ToWorker, { type: 'load' }>;
type RunMessage = Extract<ToWorker, { type: 'run' }>;

/** A run that settles no item reports its progress this often: a message costs both processes a tenth of a millisecond. */
const PROGRESS_INTERVAL_MS = 50;

/** Returns the function that receives the server's messages. */
export function serve(
  send: (message: FromWorker) => void,
  loaders: Readonly<Record<FamilyName, Loader>>,
): (message: unknown) => void {
  const loop = new MessageLoop(send, loaders);
  return (message) => loop.receive(message as ToWorker);
}

class MessageLoop {
  readonly #send: (message: FromWorker) => void;
  readonly #loaders: Readonly<Record<FamilyName, Loader>>;
  #model: AnyModel | undefined;
  readonly #scheduleCollection = collectAtRest();
  /** Abort controllers of the unfinished runs, one per item. */
  readonly #controllers = new Map<number, readonly AbortController[]>();
  readonly #cores = { shared: false };
  /** Serializes all uses of the model. */
  #work: Promise<void> = Promise.resolve();
  /** Waiting preempting runs. */
  readonly #preempting: RunMessage[] = [];
  /** The preempting run in progress. */
  #preemption: Promise<void> | undefined;

  constructor(send: (message: FromWorker) => void, loaders: Readonly<Record<FamilyName, Loader>>) {
    this.#send = send;
    this.#loaders = loaders;
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case 'load':
        return this.#enqueue(() => this.#load(message));
      case 'run':
        this.#controllers.set(
          message.id,
          message.items.map(() => new AbortController()),
        );
        if (!message.preempting) return this.#enqueue(() => this.#run(message, () => this.#runPreempting()));
        this.#preempting.push(message);
        // For the case that the run to preempt has ended or does not yield any more.
        return this.#enqueue(() => this.#runPreempting());
      case 'cancel':
        this.#controllers
          .get(message.id)
          ?.[message.index]?.abort(new InferenceError('CANCELLED', 'The caller no longer waits for this item.'));
        return;
      case 'cores':
        this.#cores.shared = message.shared;
        return;
      case 'ping':
        return this.#send({ type: 'pong' });
    }
  }

  #enqueue(task: () => Promise<void>): void {
    this.#work = this.#work.then(task);
  }

  async #load(message: LoadMessage): Promise<void> {
    const send = this.#send;
    try {
      const startedAt = performance.now();
      const graphs: GraphUse[] = [];
      const options = {
        ...message.options,
        cores: this.#cores,
        onGraph: (use: GraphUse) => void graphs.push(use),
        onProgress: () => send({ type: 'loading' }),
      };
      const loaded = await this.#loaders[message.family](message.files, options);
      send({ type: 'loading' });
      const loadedAt = performance.now();
      await loaded.warmUp();
      this.#model = loaded;
      const facts: ModelFacts = loaded.facts;
      send({ type: 'ready', facts, graphs, loadMs: loadedAt - startedAt, warmUpMs: performance.now() - loadedAt });
      // What the warm-up left: Whisper medium's keys and values, 100 MB.
      this.#scheduleCollection();
    } catch (error) {
      const text = loadProblem(error) + filesProblem(message.files);
      const full = message.options.device === 'cuda' ? gpuMemoryProblem(text) : undefined;
      send({ type: 'failed', message: full === undefined ? text : `${full}. ${GPU_MEMORY_REMEDY}` });
    }
  }

  /** Never rejects. `onYield` is called each time the model yields to the event loop. */
  async #run({ id, items }: RunMessage, onYield: () => Promise<void>): Promise<void> {
    const send = this.#send;
    const signals = (this.#controllers.get(id) ?? []).map(({ signal }) => signal);
    const startedAt = performance.now();
    const { isReported, ...reporting } = progressOf(id, send, onYield);
    try {
      if (this.#model === undefined) throw new Error('no model is loaded');
      const all = await this.#model.run(items, { signals, ...reporting });
      const outcomes = all.map((outcome, index) => (isReported(index) ? null : toWireOutcome(outcome)));
      send({ type: 'result', id, outcomes, runMs: performance.now() - startedAt });
    } catch (error) {
      send({ type: 'broken', id, message: describe(error) });
    } finally {
      this.#controllers.delete(id);
      this.#scheduleCollection();
    }
  }

  async #runPreempting(): Promise<void> {
    while (this.#preemption !== undefined || this.#preempting.length > 0) {
      this.#preemption ??= this.#runNextPreempting().finally(() => {
        this.#preemption = undefined;
      });
      await this.#preemption;
    }
  }

  async #runNextPreempting(): Promise<void> {
    const message = this.#preempting.shift();
    if (message !== undefined) await this.#run(message, async () => {});
  }
}

type Reporting = Pick<RunContext, 'settled' | 'yieldToEventLoop'>;

/** Reports a run's settled items when the model yields. Those that were reported are left out of the run's result. */
function progressOf(
  id: number,
  send: (message: FromWorker) => void,
  onYield: () => Promise<void>,
): Reporting & { isReported(index: number): boolean } {
  const startedAt = performance.now();
  const reported = new Set<number>();
  let settled: SettledItem[] = [];
  let reportedAt = startedAt;
  return {
    isReported: (index) => reported.has(index),
    settled(index, outcome) {
      settled.push({ index, outcome: toWireOutcome(outcome), runMs: performance.now() - startedAt });
    },
    async yieldToEventLoop() {
      const now = performance.now();
      if (settled.length > 0 || now - reportedAt >= PROGRESS_INTERVAL_MS) {
        send({ type: 'progress', id, settled });
        for (const { index } of settled) reported.add(index);
        settled = [];
        reportedAt = now;
      }
      await new Promise((resolve) => setImmediate(resolve));
      await onYield();
    },
  };
}

/** What is wrong with a model needs no stack; a defect of this program, such as a TypeError, does. */
function loadProblem(error: unknown): string {
  return error instanceof Error && ['Error', 'InferenceError'].includes(error.name) ? error.message : describe(error);
}

/** Of a model whose files were there when the server started: an update that was pruned has replaced them, and no other start of a worker helps. */
function filesProblem({ weights }: ModelFiles): string {
  const gone = Object.values(weights).find((path) => !existsSync(path));
  if (gone === undefined) return '';
  return ` The volume has changed since the server started: ${gone} is gone. Restart the server, which finds the models only at its start.`;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
