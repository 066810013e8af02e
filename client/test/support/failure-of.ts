import { InferenceClientError } from '../../src/index.js';

/** Returns the error of a failed call; rethrows anything but an InferenceClientError. */
export async function failureOf(call: Promise<unknown>): Promise<InferenceClientError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof InferenceClientError) return error;
    throw error;
  }
  throw new Error('Expected the call to fail, it succeeded');
}
