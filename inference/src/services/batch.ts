/** Runs the items of a call through a model's queue: each item gets its own result or error. */
import { type ErrorCode, InferenceError } from '../errors.js';
import type { Call, CallStats } from './call.js';
import type { ServedModel } from './engine.js';
import type { WireError } from './errors.js';
import { CallTiming, type Timing } from './timing.js';

export type ItemResult<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly error: WireError };

export interface BatchResult<Result> {
  readonly results: readonly ItemResult<Result>[];
  readonly timing: Timing;
}

/** Errors of the call, not of an item: the caller no longer waits. */
const CALL_ERRORS: readonly ErrorCode[] = ['CANCELLED', 'DEADLINE_EXCEEDED'];
/** Errors that are not the item's fault. If every item has one, the whole call fails and can be retried. */
const SERVER_ERRORS: readonly ErrorCode[] = [
  'WORKER_LOST',
  'WORKER_LOST_TWICE',
  'DRAINING',
  'STARTING',
  'QUEUE_FULL',
  'INTERNAL',
];

/** Runs all items, of which a call may have several batches. Throws errors of the call as a whole. */
export async function runBatch<Item, Result>(
  model: ServedModel,
  items: readonly Item[],
  call: Call,
): Promise<BatchResult<Result>> {
  const { modelQueue } = model;
  const { stats } = call;
  stats.items = (stats.items ?? 0) + items.length;
  const cost = items.reduce((sum, item) => sum + modelQueue.cost(item), 0);
  const { priority, deadlineAtMs, signal } = call;
  const admission = modelQueue.admit({ items: items.length, cost, priority, deadlineAtMs });
  try {
    const settled = await Promise.allSettled(items.map((item) => admission.submit(item, signal)));
    const timing = new CallTiming(call);
    for (const entry of settled) if (entry.status === 'fulfilled') timing.record(entry.value.run);
    const failures = settled.flatMap((entry) => (entry.status === 'rejected' ? [entry.reason] : []));
    throwCallError(failures, items.length);
    stats.itemErrors = (stats.itemErrors ?? 0) + failures.length;
    if (failures.length > 0) stats.itemErrorReasons = countByReason(failures, stats.itemErrorReasons);
    const results = settled.map((entry): ItemResult<Result> => {
      if (entry.status === 'rejected') return { ok: false, error: call.wireError(entry.reason) };
      return { ok: true, value: entry.value.value as Result };
    });
    return { results, timing: timing.finish() };
  } finally {
    admission.close();
  }
}

function throwCallError(failures: readonly unknown[], items: number): void {
  const callError = failures.find((error) => CALL_ERRORS.includes(codeOf(error)));
  if (callError !== undefined) throw callError;
  if (failures.length === items && failures.every((error) => SERVER_ERRORS.includes(codeOf(error)))) throw failures[0];
}

function countByReason(failures: readonly unknown[], before: CallStats['itemErrorReasons']) {
  const counts: Partial<Record<ErrorCode, number>> = { ...before };
  for (const code of failures.map(codeOf)) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof InferenceError ? error.code : 'INTERNAL';
}
