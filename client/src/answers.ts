import { create } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { InferenceClientError } from './errors.js';
import type { MethodName } from './options.js';
import { type Plain, plain } from './plain.js';

/** Which model gave an answer. Vectors of two different models must never be compared. */
export type Model = Plain<contract.Model>;
/** Where the time of a call went, as the server measured it. */
export type Timing = Plain<contract.Timing>;

/** What became of one item of a batch: one that failed leaves the others alone. */
export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: InferenceClientError };

/** The values of a batch of which every item must have succeeded. @throws the first item's InferenceClientError */
export function valuesOf<Value>(outcomes: readonly Outcome<Value>[]): Value[] {
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  });
}

/** The outcomes with another value each; the errors stay. */
export function mapValues<From, To>(outcomes: readonly Outcome<From>[], map: (value: From) => To): Outcome<To>[] {
  return outcomes.map((outcome) => (outcome.ok ? { ok: true, value: map(outcome.value) } : outcome));
}

/** True when both are the same model, revision and weights. */
export function sameModel(one: Model, other: Model): boolean {
  return one.id === other.id && one.revision === other.revision && one.variant === other.variant;
}

/** A model as a person reads it: `org/name@1234567 q8`. */
export function modelName({ id, revision, variant }: Model): string {
  return [`${id}@${revision.slice(0, 7)}`, variant].filter((part) => part !== '').join(' ');
}

/** The model and the times that every answer bears; empty where a server leaves them out. */
export function provenance(answer: {
  readonly model?: contract.Model | undefined;
  readonly timing?: contract.Timing | undefined;
}) {
  return {
    model: plain(answer.model ?? create(contract.ModelSchema)),
    timing: plain(answer.timing ?? create(contract.TimingSchema)),
  };
}

/** @throws InferenceClientError INTERNAL unless there is one result an input */
export function checkCount(method: MethodName, expected: number, got: number): void {
  if (got !== expected) throw malformed(method, `${got} results for ${expected} inputs`);
}

/** An answer that breaks the contract. */
export function malformed(method: MethodName, what: string): InferenceClientError {
  return new InferenceClientError('INTERNAL', `${method} was answered with ${what}`, {
    reason: 'MALFORMED_ANSWER',
    method,
  });
}
