import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { Outcome } from '../../src/models/model.js';
import type { Executor, ExecutorAnswer, RunOptions } from '../../src/scheduling/executor.js';
import { type AdmissionRequest, ModelQueue, type ModelQueueOptions } from '../../src/scheduling/model-queue.js';

interface Run {
  readonly items: readonly string[];
  readonly signals: readonly AbortSignal[];
  readonly preempting: boolean;
  readonly poisonSuspect: boolean;
  settle(index: number): void;
  answer(outcomes?: readonly Outcome<string>[], runMs?: number): void;
  fail(error: Error): void;
}

/** A worker whose runs the test completes. */
export class ManualExecutor implements Executor<string, string> {
  readonly runs: Run[] = [];

  constructor(readonly threads = 1) {}

  run(
    items: readonly string[],
    signals: readonly AbortSignal[],
    { preempting, poisonSuspect, settled }: RunOptions<string>,
  ): Promise<ExecutorAnswer<string>> {
    return new Promise((resolve, reject) => {
      this.runs.push({
        items,
        signals,
        preempting,
        poisonSuspect,
        settle: (index) => settled(index, { ok: true, value: `${items[index]} early` }, 3),
        answer: (outcomes = items.map((value) => ({ ok: true, value: value.toUpperCase() })), runMs = 10) =>
          resolve({ outcomes, runMs }),
        fail: reject,
      });
    });
  }

  /** Returns the run at an index, -1 for the last. Throws if there is none. */
  at(index: number): Run {
    const run = this.runs.at(index);
    if (run === undefined) throw new Error(`no run ${index}; there are ${this.runs.length}`);
    return run;
  }
}

/** Lets promises and microtasks settle. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

export const NEVER: AbortSignal = new AbortController().signal;

export function createModelQueue(more: Partial<ModelQueueOptions<string>> = {}) {
  const clock = { nowMs: 0 };
  const modelQueue = new ModelQueue<string, string>({
    name: 'test',
    cost: (item) => item.length,
    kind: () => '',
    limits: { maxItems: 10, maxWaitMs: 1000 },
    batch: { maxItems: 4, maxCost: Number.POSITIVE_INFINITY, maxPadding: 1 },
    now: () => clock.nowMs,
    ...more,
  });
  const executor = new ManualExecutor();
  return { modelQueue, executor, clock };
}

export const request = { items: 1, cost: 1, priority: 'interactive' } as const;

/** Lets a run of one item take `runMs`. */
export async function measure(
  { modelQueue, executor }: Pick<ReturnType<typeof createModelQueue>, 'modelQueue' | 'executor'>,
  item: string,
  runMs: number,
  asked: AdmissionRequest = request,
): Promise<void> {
  const admission = modelQueue.admit(asked);
  const done = admission.submit(item, NEVER);
  await settled();
  executor.at(-1).answer(undefined, runMs);
  await done;
  admission.close();
}

/** The error that a call is refused with. */
export function refusal(run: () => unknown): InferenceError {
  try {
    run();
  } catch (error) {
    expect(error).to.be.instanceOf(InferenceError);
    return error as InferenceError;
  }
  throw new Error('expected a refusal');
}
