import { connect, createServer } from 'node:net';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClient } from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { startFakeInference } from './support/fake-inference.js';
import { listen } from './support/listen.js';

/** More turns than a call takes from its start to its first byte. */
const TURNS = 16;

type Call = (client: InferenceClient, signal: AbortSignal) => Promise<unknown>;

describe('a signal', () => {
  const calls: Record<string, Call> = {
    'a call': (client, signal) => client.embedText(['1,0'], { signal }),
    'a stream of speech': async (client, signal) => {
      for await (const _ of client.transcribeStream([Buffer.alloc(2)], { signal }));
    },
    'a watch of the health': async (client, signal) => {
      for await (const _ of client.watchHealth('', { signal }));
    },
  };

  it('ends a call without ending its empty request first, which would be a wrong one to the server', async () => {
    const fake = await startFakeInference();
    const sent: Buffer[] = [];
    const proxy = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: Number(fake.address.split(':')[1]), host: '127.0.0.1', noDelay: true });
      near.on('data', (bytes) => sent.push(bytes)).on('error', () => undefined);
      near
        .pipe(far)
        .on('error', () => undefined)
        .pipe(near);
    });
    const client = createInferenceClient({ address: await listen(proxy) });
    try {
      for (const call of Object.values(calls)) {
        for (let turns = 0; turns < TURNS; turns += 1) {
          await client.embedText(['1,0']);
          await abortedAfter(turns, call, client);
        }
      }
    } finally {
      client.close();
      proxy.close();
      await fake.close();
    }
    expect(emptyRequests(Buffer.concat(sent))).to.equal(0);
  });

  for (const [name, call] of Object.entries(calls)) {
    it(`ends ${name}, whichever turn of its start it fires in`, async () => {
      const fake = await startFakeInference();
      const client = createInferenceClient({ address: fake.address });
      try {
        await client.embedText(['1,0']);
        for (let turns = 0; turns < TURNS; turns += 1) {
          const error = await abortedAfter(turns, call, client);
          expect(error, `after ${turns} turns`).to.include({ code: 'CANCELLED', reason: 'ABORTED' });
        }
      } finally {
        client.close();
        await fake.close();
      }
    });
  }
});

async function abortedAfter(turns: number, call: Call, client: InferenceClient) {
  const controller = new AbortController();
  const failed = failureOf(call(client, controller.signal));
  for (let turn = 0; turn < turns; turn += 1) await undefined;
  controller.abort();
  return failed;
}

/** How many streams of an HTTP/2 client end without a byte. */
function emptyRequests(sent: Buffer): number {
  const bytes = new Map<number, number>();
  let empty = 0;
  let at = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length;
  while (at < sent.length) {
    const [length, type, flags, stream] = [
      sent.readUIntBE(at, 3),
      sent[at + 3],
      sent[at + 4],
      sent.readUInt32BE(at + 5),
    ];
    if (type === 0) {
      bytes.set(stream, (bytes.get(stream) ?? 0) + length);
      if (flags === 1 && bytes.get(stream) === 0) empty += 1;
    }
    at += 9 + length;
  }
  return empty;
}
