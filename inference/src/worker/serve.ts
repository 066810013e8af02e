/** The worker's side of the conversation: load one model, warm it, run batches one after the other. */
import { InferenceError } from '../errors.js';
import type { Loader } from '../models/loaders.js';
import type { FamilyName, LoadedModel, ModelFacts, RunContext } from '../models/model.js';
import type { GraphUse } from '../models/session/optimized/use.js';
import { type FromWorker, type SettledItem, type ToWorker, toWireOutcome } from '../runner/messages.js';
import { collectAtRest } from './rest.js';

type AnyModel = LoadedModel<unknown, unknown>;
type LoadMessage = Extract<ToWorker, { type: 'load' }>;
type RunMessage = Extract<ToWorker, { type: 'run' }>;

export interface WorkerIo {
  send(message: FromWorker): void;
}

export interface Worker {
  receive(message: unknown): void;
}

/** A worker without work for this long frees what its last run left. */
const IDLE_MS = 500;

export function serve(io: WorkerIo, loaders: Readonly<Record<FamilyName, Loader>>): Worker {
  let model: AnyModel | undefined;
  const rests = collectAtRest();
  /** Of the runs that were received and are not done. */
  const controllers = new Map<number, readonly AbortController[]>();
  /** Everything that touches the model, one after the other. */
  let work: Promise<void> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  const then = (task: () => Promise<void>) => {
    clearTimeout(idle);
    work = work.then(task).then(() => {
      clearTimeout(idle);
      // Tensors of the runtime (keys and values of a window: 295 MB for Whisper medium) live until V8 collects them, and an idle
      // process collects nothing.
      idle = setTimeout(() => globalThis.gc?.(), IDLE_MS).unref();
    });
  };

  /** Runs that go between the steps of another one: waiting, and the one that is being made. */
  const preempting: RunMessage[] = [];
  let preemption: Promise<void> | undefined;
  const runPreempting = async () => {
    while (preemption !== undefined || preempting.length > 0) {
      preemption ??= runNextPreempting().finally(() => {
        preemption = undefined;
      });
      await preemption;
    }
  };
  const runNextPreempting = async () => {
    const message = preempting.shift();
    if (message !== undefined) await run(message, async () => {});
  };

  const load = async (message: LoadMessage): Promise<void> => {
    try {
      const startedAt = performance.now();
      const graphs: GraphUse[] = [];
      const options = {
        ...message.options,
        onGraph: (use: GraphUse) => void graphs.push(use),
        onProgress: () => io.send({ type: 'loading' }),
      };
      const loaded = await loaders[message.family](message.files, options);
      io.send({ type: 'loading' });
      const loadedAt = performance.now();
      await loaded.warmUp();
      model = loaded;
      const facts: ModelFacts = loaded.facts;
      io.send({ type: 'ready', facts, graphs, loadMs: loadedAt - startedAt, warmUpMs: performance.now() - loadedAt });
    } catch (error) {
      io.send({ type: 'failed', message: describe(error) });
    }
  };

  /** Never rejects. `between` is called with each breath. */
  const run = async ({ id, items }: RunMessage, between: () => Promise<void>): Promise<void> => {
    const signals = (controllers.get(id) ?? []).map(({ signal }) => signal);
    const startedAt = performance.now();
    const told = new Set<number>();
    let settled: SettledItem[] = [];
    const context: RunContext = {
      signals,
      settled(index, outcome) {
        settled.push({ index, outcome: toWireOutcome(outcome), runMs: performance.now() - startedAt });
      },
      async yieldToEventLoop() {
        io.send({ type: 'progress', id, settled });
        for (const { index } of settled) told.add(index);
        settled = [];
        await new Promise((resolve) => setImmediate(resolve));
        await between();
      },
    };
    try {
      if (model === undefined) throw new Error('no model is loaded');
      const all = await model.run(items, context);
      const outcomes = all.map((outcome, index) => (told.has(index) ? null : toWireOutcome(outcome)));
      io.send({ type: 'result', id, outcomes, runMs: performance.now() - startedAt });
    } catch (error) {
      io.send({ type: 'broken', id, message: describe(error) });
    } finally {
      controllers.delete(id);
      rests();
    }
  };

  return {
    receive(value) {
      const message = value as ToWorker;
      switch (message.type) {
        case 'load':
          return then(() => load(message));
        case 'run':
          controllers.set(
            message.id,
            message.items.map(() => new AbortController()),
          );
          if (!message.preempting) return then(() => run(message, runPreempting));
          preempting.push(message);
          // Where the run that it was to interrupt has ended, or does not breathe any more.
          return then(runPreempting);
        case 'cancel':
          controllers
            .get(message.id)
            ?.[message.index]?.abort(new InferenceError('CANCELLED', 'Nobody waits for this item any more.'));
          return;
        case 'ping':
          return io.send({ type: 'pong' });
        case 'close':
          return then(async () => {
            await model?.close();
            process.kill(process.pid, 'SIGKILL');
          });
      }
    },
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
