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

/** What a model reads of a text. */
export interface TextLimits {
  /** Tokens of a text. */
  readonly length: number;
  /** Tokens that the network knows: a tokenizer may have others, added to it alone. */
  readonly vocabulary: number;
}

/** Why a text is refused; undefined: it is not. */
export function textError(
  { ids, truncated }: TokenizedText,
  truncate: boolean,
  { length, vocabulary }: TextLimits,
): InferenceError | undefined {
  if (truncated && !truncate) {
    // With fewer tokens, at the most characters that are read.
    const most = ids.length < length ? `${MAX_CHARACTERS} characters` : `${length} tokens`;
    return new InferenceError(
      'TEXT_TOO_LONG',
      `Expected a text of at most ${most}, got a longer one. Shorten it, or set truncate to have its end left out.`,
    );
  }
  const unknown = ids.find((id) => id >= vocabulary);
  if (unknown === undefined) return undefined;
  return new InferenceError(
    'INVALID_ARGUMENT',
    `Expected a text with tokens below ${vocabulary}, which the model knows, got one with token ${unknown} of its tokenizer. Leave that word out.`,
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
