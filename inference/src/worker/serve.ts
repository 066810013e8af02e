/** The worker's message loop: loads one model, warms it up and runs batches sequentially. */
import { InferenceError } from '../errors.js';
import type { Loader } from '../models/loaders.js';
import type { LoadedModel, ModelFacts, RunContext } from '../models/model.js';
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
  let model: AnyModel | undefined;
  const scheduleCollection = collectAtRest();
  /** Abort controllers of the unfinished runs, one per item. */
  const controllers = new Map<number, readonly AbortController[]>();
  const cores = { shared: false };
  /** Serializes all uses of the model. */
  let work: Promise<void> = Promise.resolve();
  const enqueue = (task: () => Promise<void>) => {
    work = work.then(task);
  };

  /** Waiting preempting runs. */
  const preempting: RunMessage[] = [];
  /** The preempting run in progress. */
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
        cores,
        onGraph: (use: GraphUse) => void graphs.push(use),
        onProgress: () => send({ type: 'loading' }),
      };
      const loaded = await loaders[message.family](message.files, options);
      send({ type: 'loading' });
      const loadedAt = performance.now();
      await loaded.warmUp();
      model = loaded;
      const facts: ModelFacts = loaded.facts;
      send({ type: 'ready', facts, graphs, loadMs: loadedAt - startedAt, warmUpMs: performance.now() - loadedAt });
      // What the warm-up left: Whisper medium's keys and values, 100 MB.
      scheduleCollection();
    } catch (error) {
      const text = loadProblem(error);
      const full = message.options.device === 'cuda' ? gpuMemoryProblem(text) : undefined;
      send({ type: 'failed', message: full === undefined ? text : `${full}. ${GPU_MEMORY_REMEDY}` });
    }
  };

  /** Never rejects. `onYield` is called each time the model yields to the event loop. */
  const run = async ({ id, items }: RunMessage, onYield: () => Promise<void>): Promise<void> => {
    const signals = (controllers.get(id) ?? []).map(({ signal }) => signal);
    const startedAt = performance.now();
    const reported = new Set<number>();
    let settled: SettledItem[] = [];
    let reportedAt = startedAt;
    const context: RunContext = {
      signals,
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
    try {
      if (model === undefined) throw new Error('no model is loaded');
      const all = await model.run(items, context);
      const outcomes = all.map((outcome, index) => (reported.has(index) ? null : toWireOutcome(outcome)));
      send({ type: 'result', id, outcomes, runMs: performance.now() - startedAt });
    } catch (error) {
      send({ type: 'broken', id, message: describe(error) });
    } finally {
      controllers.delete(id);
      scheduleCollection();
    }
  };

  return (value) => {
    const message = value as ToWorker;
    switch (message.type) {
      case 'load':
        return enqueue(() => load(message));
      case 'run':
        controllers.set(
          message.id,
          message.items.map(() => new AbortController()),
        );
        if (!message.preempting) return enqueue(() => run(message, runPreempting));
        preempting.push(message);
        // For the case that the run to preempt has ended or does not yield any more.
        return enqueue(runPreempting);
      case 'cancel':
        controllers
          .get(message.id)
          ?.[message.index]?.abort(new InferenceError('CANCELLED', 'The caller no longer waits for this item.'));
        return;
      case 'cores':
        cores.shared = message.shared;
        return;
      case 'ping':
        return send({ type: 'pong' });
    }
  };
}

/** What is wrong with a model needs no stack; a defect of this program, such as a TypeError, does. */
function loadProblem(error: unknown): string {
  return error instanceof Error && ['Error', 'InferenceError'].includes(error.name) ? error.message : describe(error);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
