import { expect } from 'chai';
import { createInferenceClient, type InferenceClient } from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { startFakeInference } from './support/fake-inference.js';

/** More turns than a call takes from its start to its first byte. */
const TURNS = 16;

describe('a signal', () => {
  const calls: Record<string, (client: InferenceClient, signal: AbortSignal) => Promise<unknown>> = {
    'a call': (client, signal) => client.embedText(['1,0'], { signal }),
    'a stream of speech': async (client, signal) => {
      for await (const _ of client.transcribeStream([Buffer.alloc(2)], { signal }));
    },
    'a watch of the health': async (client, signal) => {
      for await (const _ of client.watchHealth('', { signal }));
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    it(`ends ${name}, whichever turn of its start it fires in`, async () => {
      const fake = await startFakeInference();
      const client = createInferenceClient({ address: fake.address });
      try {
        await client.embedText(['1,0']);
        for (let turns = 0; turns < TURNS; turns += 1) {
          const controller = new AbortController();
          const failed = failureOf(call(client, controller.signal));
          for (let turn = 0; turn < turns; turn += 1) await undefined;
          controller.abort();
          expect(await failed, `after ${turns} turns`).to.include({ code: 'CANCELLED', reason: 'ABORTED' });
        }
      } finally {
        client.close();
        await fake.close();
      }
    });
  }
});
