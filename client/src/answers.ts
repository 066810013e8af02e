import { create } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { changedError, createError, type InferenceClientError } from './errors.js';
import type { MethodName } from './options.js';
import { type Plain, plain } from './plain.js';

/** The model that computed a response. Never compare vectors of two different models. */
export type Model = Plain<contract.Model>;
/** Queue and run time of a call, as measured by the server. */
export type Timing = Plain<contract.Timing>;

/** The result of one item of a batch. A failed item does not affect the others. */
export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: InferenceClientError };

/**
 * Returns the values of a batch in which every item must have succeeded. Throws the first failed item's InferenceClientError; of several items
 * its message begins with the place of that one, such as `results[3]: `.
 */
export function valuesOf<Value>(outcomes: readonly Outcome<Value>[]): Value[] {
  return outcomes.map((outcome, index) => {
    if (outcome.ok) return outcome.value;
    const { error } = outcome;
    if (outcomes.length === 1) throw error;
    throw changedError(error, `results[${index}]: ${error.message}`, {});
  });
}

/** Maps the values of successful outcomes and keeps the errors. */
export function mapValues<From, To>(outcomes: readonly Outcome<From>[], map: (value: From) => To): Outcome<To>[] {
  return outcomes.map((outcome) => (outcome.ok ? { ok: true, value: map(outcome.value) } : outcome));
}

/** Whether both are the same model, revision and weights. */
export function sameModel(one: Model, other: Model): boolean {
  return one.id === other.id && one.revision === other.revision && one.variant === other.variant;
}

/** Formats a model for display: `org/name@1234567 q8`. */
export function modelName({ id, revision, variant }: Model): string {
  return [`${id}@${revision.slice(0, 7)}`, variant].filter((part) => part !== '').join(' ');
}

/** Returns a response's model and timing; empty messages where the server omits them. */
export function provenance(answer: {
  readonly model?: contract.Model | undefined;
  readonly timing?: contract.Timing | undefined;
}) {
  return {
    model: plain(answer.model ?? create(contract.ModelSchema)),
    timing: plain(answer.timing ?? create(contract.TimingSchema)),
  };
}

/** Throws InferenceClientError INTERNAL unless there is one result per input. */
export function checkCount(method: MethodName, expected: number, got: number): void {
  if (got !== expected) throw malformed(method, `${got} results for ${expected} inputs`);
}

/** The error for a response that violates the contract. */
export function malformed(method: MethodName, what: string): InferenceClientError {
  return createError('INTERNAL', `malformed response to ${method}: ${what}`, {
    reason: 'MALFORMED_ANSWER',
    method,
  });
}
