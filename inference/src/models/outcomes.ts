import { InferenceError } from '../errors.js';
import type { Outcome, RunContext } from './model.js';

/** The error of an item nobody waits for any more. */
export function cancelled<Result>(): Outcome<Result> {
  return failed(new InferenceError('CANCELLED', 'The call was cancelled before its turn came.'));
}

/** An item's own error; anything but an InferenceError is the model's and is thrown on. */
export function failed<Result>(error: unknown): Outcome<Result> {
  if (!(error instanceof InferenceError)) throw error;
  return { ok: false, error };
}

/** Whether item `index` of the batch is still waited for. */
export function isWanted(context: RunContext, index: number): boolean {
  return context.signals[index]?.aborted !== true;
}

/** Context for a run that nobody can cancel, such as the one that warms a model up. */
export const UNCANCELLED: RunContext = { signals: [], yieldToEventLoop: () => Promise.resolve() };
