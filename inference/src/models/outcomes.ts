import { InferenceError } from '../errors.js';
import { MAX_CHARACTERS, type TokenizedText } from '../tokenizer/index.js';
import type { ItemContext, Outcome, RunContext } from './model.js';

/** The error of an item whose caller is gone. */
export function cancelled<Result>(): Outcome<Result> {
  return failed(new InferenceError('CANCELLED', 'The call was cancelled before its turn came.'));
}

/** The outcome of an item's own error. Errors other than InferenceError are the model's and are rethrown. */
export function failed<Result>(error: unknown): Outcome<Result> {
  if (!(error instanceof InferenceError)) throw error;
  return { ok: false, error };
}

/** The error of a text that was truncated: at `limit` tokens, or, with fewer, at the most characters that are read. */
export function textTooLong({ ids }: TokenizedText, limit: number): InferenceError {
  const most = ids.length < limit ? `${MAX_CHARACTERS} characters` : `${limit} tokens`;
  return new InferenceError(
    'TEXT_TOO_LONG',
    `Expected a text of at most ${most}, got a longer one. Shorten it, or set truncate to have its end left out.`,
  );
}

/** The error of a text that is nothing to the model, such as an empty one where the tokenizer adds no special tokens. */
export function withoutTokens(): InferenceError {
  return new InferenceError(
    'INVALID_ARGUMENT',
    'Expected a text with at least one token of the model, got one without.',
  );
}

/** The error of a text with an added token of the tokenizer that the network has no row for. */
export function unknownToken(id: number, count: number): InferenceError {
  return new InferenceError(
    'INVALID_ARGUMENT',
    `Expected a text of the model's ${count} tokens, got one with token ${id} of its tokenizer. Leave that word out.`,
  );
}

/** Does the work of item `index` and reports its outcome at once. */
export async function runItem<Result>(
  context: RunContext,
  index: number,
  work: (item: ItemContext) => Promise<Result>,
): Promise<Outcome<Result>> {
  const yieldToEventLoop = async () => {
    await context.yieldToEventLoop();
    if (!isWaitedFor(context, index)) throw new InferenceError('CANCELLED', 'The call was cancelled while it ran.');
  };
  const outcome = await work({ yieldToEventLoop }).then(
    (value): Outcome<Result> => ({ ok: true, value }),
    failed<Result>,
  );
  context.settled?.(index, outcome);
  return outcome;
}

/** Whether a caller is still waiting for item `index` of the batch. */
export function isWaitedFor(context: RunContext, index: number): boolean {
  return context.signals[index]?.aborted !== true;
}

/** Context for a run that cannot be cancelled, such as a warm-up. */
export const UNCANCELLED: RunContext = { signals: [], yieldToEventLoop: () => Promise.resolve() };
