import { expect } from 'chai';
import type { InferenceClient } from '../../src/index.js';
import { failureOf } from './failure-of.js';

/** Connects a client to a server without Health: connecting counts towards the time limit of a call, and takes long on a busy machine. */
export async function connected(client: InferenceClient): Promise<void> {
  expect(await failureOf(client.checkHealth())).to.include({ code: 'UNIMPLEMENTED' });
}
