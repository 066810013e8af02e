import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { textRequest } from '../fixtures/embed-calls.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText, getServerInfo } = InferenceService.method;

describe('a short call', () => {
  const fake = useFakeServer({}, 'test');

  /** Starts a call that runs until the returned function is called; resolves when the server has admitted it. */
  async function begin(text: string): Promise<() => Promise<void>> {
    let cancel = () => {};
    const ended = fake.client.unary(embedText, textRequest(text), {
      onStart: (stop) => {
        cancel = stop;
      },
    });
    // A second call on the same connection is answered after the first was admitted.
    await fake.client.value(getServerInfo, {});
    return async () => {
      cancel();
      expect((await ended).ok).to.equal(false);
    };
  }

  it('is answered before the others of its run', async () => {
    const endFirst = await begin('until cancelled');
    const short = fake.client.value(embedText, textRequest('quick'.padEnd(15)));
    const endLong = await begin('until cancelled');
    await endFirst();
    const { results, timing } = await short;
    expect(results[0]?.result.case).to.equal('embedding');
    expect(timing?.batchSize).to.equal(2);
    await endLong();
  });

  it('is answered during a long run of another caller', async () => {
    const endLong = await begin('until cancelled'.padEnd(300));
    const { results } = await fake.client.value(embedText, textRequest('quick'));
    expect(results[0]?.result.case).to.equal('embedding');
    await endLong();
    expect((await fake.client.value(embedText, textRequest('next'))).results[0]?.result.case).to.equal('embedding');
    expect(fake.pids()).to.have.length(1);
  });

  it('that kills the worker fails the preempted run at most once', async () => {
    const long = fake.client.value(embedText, textRequest('slow'.padEnd(300)));
    await fake.client.value(getServerInfo, {});
    const error = await fake.client.failure(embedText, textRequest('kill'));
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'WORKER_LOST_TWICE' });
    expect((await long).results[0]?.result.case).to.equal('embedding');
  });
});
