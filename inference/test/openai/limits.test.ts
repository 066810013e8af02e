import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import OpenAI from 'openai';
import { useFakeServer } from '../fixtures/use-fake-server.js';
import { MODEL, type Reply } from './requests.js';

function embed(url: string, input: string): Promise<Response> {
  return fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, input }),
  });
}

describe('the OpenAI API, when the queue is full', () => {
  const fake = useFakeServer({ MAX_QUEUE: '1', BATCH_TEXT: '1' });

  it('responds with 429 and the time to retry', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, () => embed(fake.url, 'slow')));
    const full = responses.find(({ status }) => status === 429);
    if (full === undefined) throw new Error('no call was refused');
    expect(Number(full.headers.get('retry-after'))).to.be.at.least(1);
    expect(Number(full.headers.get('retry-after-ms'))).to.be.greaterThan(0);
    const refused = fake.log.filter(({ msg, code }) => msg === 'call' && code === 'RESOURCE_EXHAUSTED');
    expect(refused.map(({ call }) => call)).to.include(full.headers.get('x-request-id'));
    const { error } = (await full.json()) as Pick<Reply, 'error'>;
    expect([error.type, error.code]).to.deep.equal(['rate_limit_error', 'rate_limit_exceeded']);
    await Promise.all(responses.filter(({ bodyUsed }) => !bodyUsed).map((response) => response.text()));
  });
});

describe('the OpenAI API', () => {
  const fake = useFakeServer();

  it('refuses what is more than over the other protocols', async () => {
    const taken = await embed(fake.url, 'x'.repeat(6 * MIB));
    await taken.text();
    expect(taken.status).to.equal(200);
    const refused = await embed(fake.url, 'x'.repeat(9 * MIB));
    expect(refused.status).to.equal(400);
    expect(await refused.text()).to.include('more than 8388608 bytes of text');
  });

  for (const [what, input, reason, timeoutMs] of [
    ['a defect', 'defect', 'INTERNAL', 60_000],
    ['its deadline', 'until cancelled', 'DEADLINE_EXCEEDED', 100],
    ['the death of two workers', 'kill', 'WORKER_LOST_TWICE', 60_000],
  ] as const) {
    it(`tells the official client not to send it again by itself, for ${what}`, async () => {
      const client = new OpenAI({ baseURL: `${fake.url}/v1`, apiKey: 'none' });
      const headers = { 'x-request-id': reason, 'connect-timeout-ms': String(timeoutMs) };
      const error: unknown = await client.embeddings
        .create({ model: MODEL, input }, { headers })
        .catch((thrown) => thrown);
      expect(error).to.include({ code: reason.toLowerCase(), type: 'server_error' });
      expect(fake.log.filter(({ msg, call }) => msg === 'call' && call === reason)).to.have.length(1);
    });
  }
});
