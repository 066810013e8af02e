import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { Health, InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { textRequest } from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText, getServerInfo } = InferenceService.method;

/** Number of open file descriptors of this process. */
async function descriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}

describe('many calls', () => {
  const fake = useFakeServer({ MAX_QUEUE: '64' });

  it('of all kinds leak nothing: no descriptor, no queue entry, no call in progress', async () => {
    const round = async (calls: number) => {
      const client = new GrpcClient(`127.0.0.1:${fake.server.address.port}`);
      const all = Array.from({ length: calls }, (_, index) => {
        if (index % 5 === 0) return client.unary(embedText, textRequest('slow'), { timeoutMs: 1 });
        if (index % 5 === 1)
          return client.unary(embedText, textRequest('slow'), { onStart: (cancel) => setImmediate(cancel) });
        if (index % 5 === 2) return client.unary(embedText, textRequest());
        return client.unary(embedText, textRequest('quick', 'item error'));
      });
      await Promise.all(all);
      client.close();
    };
    await round(50);
    await settled(fake);
    const before = await descriptors();
    for (let turn = 0; turn < 2; turn += 1) await round(100);
    await settled(fake);
    // The sockets of the last client may still be closing.
    while ((await descriptors()) > before) await delay(10);
    const metrics = await (await fetch(`${fake.url}/metrics`)).text();
    expect(metrics).to.match(/^heimdex_requests_in_progress 0$/m);
    expect(metrics).to.match(/^heimdex_queue_items\{model="bge-m3",priority="interactive"\} 0$/m);
    expect((await fake.client.value(embedText, textRequest('next'))).results).to.have.length(1);
  });

  it('above the limit are refused with a retry delay, and the others get correct answers', async () => {
    const texts = Array.from({ length: 300 }, (_, index) => 'x'.repeat(1 + (index % 50)));
    const results = await Promise.all(texts.map((text) => fake.client.unary(embedText, textRequest(text))));
    for (const [index, result] of results.entries()) {
      if (!result.ok) {
        expect(result.error).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' });
        expect(result.error.retryMs).to.be.within(1, 30_000);
        continue;
      }
      const [answer] = result.value.results;
      expect(answer?.result.case === 'embedding' && answer.result.value.values[0]).to.equal(texts[index]?.length);
    }
    expect(results.filter(({ ok }) => ok).length).to.be.at.least(64);
    expect(results.filter(({ ok }) => !ok).length).to.be.at.least(1);
  });
});

describe('many calls during which workers', () => {
  /** Settings for each kind of worker failure, and the number of calls that cause it by their content. */
  const WAYS = [
    ['are killed again and again', 'kill', 2, {}],
    ['hang', 'hang', 1, { HEARTBEAT_SECONDS: '0.1' }],
    ['are stopped from outside', undefined, 0, { HEARTBEAT_SECONDS: '0.1', WORKERS_TEXT: '1' }],
  ] as const;
  for (const [name, poison, poisons, env] of WAYS) {
    it(`${name} are all answered correctly, and health reports it`, async () => {
      const fake = await startFakeServer({ MAX_QUEUE: '64', WORKERS_TEXT: '2', ...env });
      try {
        await fake.server.warm;
        const workers = poison === undefined ? 1 : 2;
        await fake.loaded(workers);
        const statuses: string[] = [];
        fake.server.state.changes.on('change', () => void statuses.push(fake.server.state.report().status));
        const texts = Array.from({ length: 24 }, (_, index) =>
          poison !== undefined && index % 13 === 6 && index < 13 * poisons ? poison : `slow ${'y'.repeat(index)}`,
        );
        const all = texts.map((text) => fake.client.unary(embedText, textRequest(text)));
        if (poison === undefined) {
          await fake.client.value(getServerInfo, {});
          for (const pid of fake.pids()) process.kill(pid, 'SIGSTOP');
        }
        for (const [index, result] of (await Promise.all(all)).entries()) {
          const text = texts[index] ?? '';
          if (result.ok) {
            const [answer] = result.value.results;
            expect(answer?.result.case === 'embedding' && answer.result.value.values[0]).to.equal(text.length);
          } else {
            expect(result.error.code).to.equal('UNAVAILABLE');
            if (poison !== undefined && text !== poison) expect(result.error.reason).to.equal('WORKER_LOST');
          }
          if (text === poison) expect(result.ok).to.equal(false);
        }
        if (poison === undefined) expect(statuses).to.include('unhealthy');
        await fake.loaded(workers + 1);
        expect((await fake.client.value(embedText, textRequest('next'))).results[0]?.result.case).to.equal('embedding');
        expect(fake.server.state.report().status).to.equal('healthy');
      } finally {
        await fake.close();
      }
    });
  }
});

describe('malicious callers', () => {
  const fake = useFakeServer();

  it('that flood Watch get a limited number of streams, and those of another address get theirs', async () => {
    const clients = [0, 1].map(() => new GrpcClient(`127.0.0.1:${fake.server.address.port}`));
    const streams = clients.flatMap((client) =>
      Array.from({ length: 300 }, () => client.serverStream(Health.method.watch, { service: '' })),
    );
    const outcomes = await Promise.all(
      streams.map(
        (stream) =>
          new Promise((resolve) => {
            stream.once('data', () => resolve('watching'));
            stream.on('error', ({ code }: { code: number }) => resolve(code));
          }),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'watching')).to.have.length(500);
    expect(outcomes.filter((outcome) => outcome === 8)).to.have.length(100);
    // Other systems have only one address of their own.
    if (process.platform === 'linux') expect(await firstOfWatch(fake.url, '127.0.0.2')).to.include('SERVING');
    for (const stream of streams) stream.cancel();
    for (const client of clients) client.close();
    expect((await fake.client.value(Health.method.check, {})).status).to.equal(1);
  });

  it('that disconnect after half a message leave no state', async () => {
    for (let index = 0; index < 20; index += 1) {
      const session = http2.connect(fake.url);
      session.on('error', () => {});
      const stream = session.request({
        ':method': 'POST',
        ':path': '/heimdex.inference.v1.InferenceService/EmbedText',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      stream.write(Buffer.from([0, 0, 0, 1, 0, 10, 3]));
      await once(session, 'remoteSettings');
      if (index % 2 === 0) session.destroy();
      else session.close();
      stream.destroy();
    }
    await fake.client.value(getServerInfo, {});
    await settled(fake);
  });

  it('that send endless metadata are rejected, and others are served', async () => {
    const client = new GrpcClient(`127.0.0.1:${fake.server.address.port}`);
    const headers = { endless: 'x'.repeat(1_000_000) };
    const result = await client.unary(embedText, textRequest('a'), { headers, timeoutMs: 5000 });
    client.close();
    expect(result.ok).to.equal(false);
    expect((await fake.client.value(embedText, textRequest('b'))).results).to.have.length(1);
  });

  it('that offer an upgrade over HTTP/1.1 get a response in HTTP/1.1', async () => {
    const request = http.get(`${fake.url}/livez`, {
      agent: false,
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
    });
    const [response] = await once(request, 'response');
    response.resume();
    expect(response.statusCode).to.equal(200);
  });

  it('that use no supported protocol get a response or a closed connection', async () => {
    const session = http2.connect(fake.url);
    session.on('error', () => {});
    const call = { ':method': 'POST', ':path': `/${InferenceService.typeName}/GetServerInfo`, te: 'trailers' };
    const types = ['application/grpc-web-text', 'application/grpc+json', 'text/plain'];
    for (const request of types.map((type) => ({ ...call, 'content-type': type }))) {
      const stream = session.request(request, { endStream: false }).end(Buffer.alloc(5));
      const [headers] = await once(stream, 'response');
      expect(headers[':status'], JSON.stringify(request)).to.equal(415);
      stream.destroy();
    }
    session.destroy();
  });
});

/** The first message of a Watch over Connect from a local address. */
async function firstOfWatch(url: string, localAddress: string): Promise<string> {
  const options = { method: 'POST', localAddress, headers: { 'content-type': 'application/connect+json' } };
  const request = http.request(`${url}/grpc.health.v1.Health/Watch`, options);
  request.end(Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from('{}')]));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const [first] = await once(response, 'data');
  request.destroy();
  return String(first);
}

/** Waits until no call is in progress: abandoned ones end shortly after their callers disconnect. */
async function settled(fake: FakeServer): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${fake.url}/metrics`)).text();
    if (/^heimdex_requests_in_progress 0$/m.test(text)) return;
    await delay(10);
  }
}
