import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { startFakeServer } from '../fixtures/fake-server.js';
import { MODEL, type Reply } from './requests.js';

describe('the OpenAI API, when the queue is full', () => {
  it('responds with 429 and the time to retry', async () => {
    const fake = await startFakeServer({ MAX_QUEUE: '1', BATCH_TEXT: '1' });
    try {
      await fake.server.warm;
      const send = () =>
        fetch(`${fake.url}/v1/embeddings`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: MODEL, input: 'slow' }),
        });
      const responses = await Promise.all(Array.from({ length: 8 }, send));
      const full = responses.find(({ status }) => status === 429);
      if (full === undefined) throw new Error('no call was refused');
      expect(Number(full.headers.get('retry-after'))).to.be.at.least(1);
      expect(Number(full.headers.get('retry-after-ms'))).to.be.greaterThan(0);
      const { error } = (await full.json()) as Pick<Reply, 'error'>;
      expect([error.type, error.code]).to.deep.equal(['rate_limit_error', 'rate_limit_exceeded']);
      await Promise.all(responses.filter(({ bodyUsed }) => !bodyUsed).map((response) => response.text()));
    } finally {
      await fake.close();
    }
  });
});

describe('the OpenAI API, given much text', () => {
  it('refuses what is more than over the other protocols', async () => {
    const fake = await startFakeServer();
    try {
      await fake.server.warm;
      const embed = async (bytes: number) => {
        const response = await fetch(`${fake.url}/v1/embeddings`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: MODEL, input: 'x'.repeat(bytes) }),
        });
        return { status: response.status, text: await response.text() };
      };
      expect((await embed(6 * MIB)).status).to.equal(200);
      const { status, text } = await embed(9 * MIB);
      expect(status).to.equal(400);
      expect(text).to.include('more than 8388608 bytes of text');
    } finally {
      await fake.close();
    }
  });
});
