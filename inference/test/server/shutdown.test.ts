import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { Health, InferenceService, HealthCheckResponse_ServingStatus as Serving } from '@heimdex/gen';
import { expect } from 'chai';
import { EMBED_TEXT, envelope, ONE_JSON, outcomes, textRequest } from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { gather } from '../fixtures/grpc-client.js';

const { embedText, getServerInfo } = InferenceService.method;

describe('a server that shuts down', () => {
  it('finishes calls in progress and refuses new ones', async () => {
    const fake = await startFakeServer();
    try {
      await fake.server.warm;
      const running = fake.client.value(embedText, textRequest('slow one'));
      await reached(fake);
      const closing = fake.server.close();
      const refused = await fake.client.failure(embedText, textRequest('new'));
      expect(refused.code).to.equal('UNAVAILABLE');
      expect((await running).results).to.have.length(1);
      await closing;
    } finally {
      await fake.close();
    }
  });

  it('asks callers to make their next calls on another connection, while it finishes those in progress', async () => {
    const fake = await startFakeServer();
    const session = http2.connect(fake.url);
    const agent = new http.Agent({ keepAlive: true });
    try {
      await fake.server.warm;
      const events: string[] = [];
      session.once('goaway', () => events.push('GOAWAY'));
      const grpc = session.request({
        ':method': 'POST',
        ':path': `/${EMBED_TEXT}`,
        'content-type': 'application/grpc',
      });
      grpc.end(envelope(toBinary(embedText.input, create(embedText.input, textRequest('slow one')))));
      const answered = once(grpc.resume(), 'end').then(() => events.push('answer'));
      const headers = { 'content-type': 'application/json', expect: '100-continue' };
      const web = http.request(`${fake.url}/${EMBED_TEXT}`, { method: 'POST', headers, agent });
      web.flushHeaders();
      await Promise.all([once(web, 'continue'), new Promise((resolve) => session.ping(resolve))]);
      const closing = fake.server.close();
      web.end(ONE_JSON);
      const [response] = (await once(web, 'response')) as [http.IncomingMessage];
      response.resume();
      expect([response.statusCode, response.headers.connection]).to.deep.equal([200, 'close']);
      await answered;
      expect(events).to.deep.equal(['GOAWAY', 'answer']);
      await closing;
    } finally {
      session.destroy();
      agent.destroy();
      await fake.close();
    }
  });

  it('ends calls above the drain time with UNAVAILABLE, and logs the variable that sets it', async () => {
    // Not whole milliseconds, as 16.1 s in floating point.
    const fake = await startFakeServer({ SHUTDOWN_DRAIN_SECONDS: '0.1001' });
    try {
      await fake.server.warm;
      const running = fake.client.failure(embedText, textRequest('hang'));
      await reached(fake);
      await fake.server.close();
      expect(await running).to.include({ code: 'UNAVAILABLE', reason: 'DRAINING' });
      const ended = fake.log.find(({ calls }) => calls === 1);
      expect(ended?.msg).to.include('SHUTDOWN_DRAIN_SECONDS');
    } finally {
      await fake.close();
    }
  });

  it('notifies health watchers and ends their streams', async () => {
    const fake = await startFakeServer();
    try {
      await fake.server.warm;
      const watch = fake.client.serverStream(Health.method.watch, { service: '' });
      await new Promise((resolve) => watch.once('metadata', resolve));
      const all = gather(watch);
      await fake.server.close();
      const result = await all;
      const statuses = result.ok ? result.value.map(({ status }) => status) : result.error;
      expect(statuses).to.deep.equal([Serving.SERVING, Serving.NOT_SERVING]);
    } finally {
      await fake.close();
    }
  });

  it('continues to serve in its grace period while health reports NOT_SERVING', async () => {
    const fake = await startFakeServer({ SHUTDOWN_GRACE_SECONDS: '2' });
    try {
      await fake.server.warm;
      const closing = fake.server.close();
      expect((await fake.client.value(Health.method.check, { service: '' })).status).to.equal(Serving.NOT_SERVING);
      expect(await outcomes(fake, 'in time')).to.deep.equal([7]);
      await closing;
    } finally {
      await fake.close();
    }
  });
});

/** Waits until earlier calls have reached the server: a connection keeps their order. */
async function reached(fake: FakeServer): Promise<void> {
  await fake.client.value(getServerInfo, {});
}
