import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';

/** The error that a promise is rejected with. Fails the test if it is not, or with an error of another kind. */
export async function rejectionOf<Failure extends Error>(
  work: Promise<unknown>,
  kind: abstract new (...args: never) => Failure,
): Promise<Failure> {
  const reason = await work.then(
    () => expect.fail('Expected a rejection.'),
    (reason: unknown) => reason,
  );
  expect(reason).to.be.instanceOf(kind);
  return reason as Failure;
}

export function errorOf(work: Promise<unknown>): Promise<InferenceError> {
  return rejectionOf(work, InferenceError);
}
