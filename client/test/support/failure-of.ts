import { InferenceClientError } from '../../src/index.js';

/** The error a call fails with; anything but an InferenceClientError is thrown on. */
export async function failureOf(call: Promise<unknown>): Promise<InferenceClientError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof InferenceClientError) return error;
    throw error;
  }
  throw new Error('Expected the call to fail, it succeeded');
}
