import http2 from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { EmbedTextRequestSchema, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { EMBED_TEXT, ONE_JSON, post } from '../fixtures/embed-calls.js';
import { startFakeServer } from '../fixtures/fake-server.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText } = InferenceService.method;
const PATH = '/heimdex.inference.v1.InferenceService/EmbedText';
const HEADERS = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };

describe('a server with a full queue', () => {
  const fake = useFakeServer({ MAX_QUEUE: '2' }, 'test');

  it('refuses a gRPC call before its body arrives, with a retry delay, in log and metrics', async () => {
    const cancels: (() => void)[] = [];
    const request = { texts: ['until cancelled', 'until cancelled'], model: TextModel.TEXT };
    const running = fake.client.unary(embedText, request, { onStart: (cancel) => void cancels.push(cancel) });
    // A second call on the same connection is answered after the first was admitted.
    await fake.client.value(InferenceService.method.getServerInfo, {});
    const session = http2.connect(fake.url);
    try {
      const stream = session.request({ ...HEADERS, 'x-request-id': 'no-room' }, { endStream: false });
      // The announced message never arrives.
      stream.write(Buffer.from([0, 0, 0x10, 0, 0]));
      const headers = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', reject);
      });
      expect(headers['grpc-status']).to.equal('8');
      expect(headers['grpc-status-details-bin']).to.be.a('string');
      stream.close();
      const line = fake.log.find(({ call }) => call === 'no-room');
      expect(line).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL', protocol: 'grpc' });
    } finally {
      session.destroy();
    }
    const refused = await fake.client.failure(embedText, request);
    expect(refused).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' });
    expect(refused.retryMs).to.be.greaterThan(0);
    const metrics = await (await fetch(`${fake.url}/metrics`)).text();
    expect(metrics).to.match(/^heimdex_refused_total\{model="bge-m3",priority="interactive",reason="queue"\} 2$/m);
    expect(metrics).to.match(
      /^heimdex_requests_total\{method="EmbedText",protocol="grpc",code="RESOURCE_EXHAUSTED"\} 2$/m,
    );
    for (const cancel of cancels) cancel();
    expect((await running).ok).to.equal(false);
  });

  it('says when to retry in the header of HTTP too, before the body is read and after', async () => {
    const cancels: (() => void)[] = [];
    const hold = { onStart: (cancel: () => void) => void cancels.push(cancel) };
    const runs = [];
    // One item leaves room for a call with one, not with two; two leave none.
    for (const texts of [['x', 'y'], ['x']]) {
      runs.push(fake.client.unary(embedText, { texts: ['until cancelled'], model: TextModel.TEXT }, hold));
      await fake.client.value(InferenceService.method.getServerInfo, {});
      const response = await fetch(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ texts, model: 'TEXT_MODEL_TEXT' }),
      });
      await response.text();
      expect(response.status).to.equal(429);
      expect(Number(response.headers.get('retry-after'))).to.be.at.least(1);
    }
    for (const cancel of cancels) cancel();
    await Promise.all(runs);
  });

  it('of bulk work refuses bulk calls only, and answers interactive ones', async () => {
    const bulk = { headers: { 'x-heimdex-priority': 'bulk' } };
    const cancels: (() => void)[] = [];
    const request = { texts: ['until cancelled', 'until cancelled'], model: TextModel.TEXT };
    const running = fake.client.unary(embedText, request, { ...bulk, onStart: (cancel) => void cancels.push(cancel) });
    const short = { texts: ['x'], model: TextModel.TEXT };
    // The call before it on the same connection is admitted by then.
    const refused = await fake.client.failure(embedText, short, bulk);
    expect(refused).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' });
    expect(refused.message).to.include('full for bulk calls');
    // Sent twice, as a proxy adds it to that of the caller.
    const twice = await post(fake, EMBED_TEXT, 'json', Buffer.from(ONE_JSON), { 'x-heimdex-priority': 'bulk, bulk' });
    expect(twice.code).to.equal('resource_exhausted');
    expect((await fake.client.value(embedText, short)).results).to.have.length(1);
    const metrics = await (await fetch(`${fake.url}/metrics`)).text();
    expect(metrics).to.match(/^heimdex_refused_total\{model="bge-m3",priority="bulk",reason="queue"\} 2$/m);
    expect(metrics).to.match(/^heimdex_refused_total\{model="bge-m3",priority="interactive",reason="queue"\} 0$/m);
    for (const cancel of cancels) cancel();
    expect((await running).ok).to.equal(false);
  });
});

describe('a connection', () => {
  it('accepts half a megabyte per call before it is read, and that of four calls per connection', async () => {
    const fake = await startFakeServer();
    const session = http2.connect(fake.url);
    const settings = new Promise<http2.Settings>((resolve) => {
      session.on('remoteSettings', (given) => {
        if (given.initialWindowSize !== 65_535) resolve(given);
      });
    });
    try {
      await fake.server.warm;
      const request = create(EmbedTextRequestSchema, { texts: ['x'], model: TextModel.TEXT });
      const message = toBinary(EmbedTextRequestSchema, request);
      const stream = session.request(HEADERS);
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
      stream.resume();
      const given = await settings;
      expect(given.initialWindowSize).to.equal(512 * 1024);
      await new Promise((resolve) => stream.once('close', resolve));
      expect(session.state.remoteWindowSize).to.be.greaterThan(1024 * 1024);
    } finally {
      session.destroy();
      await fake.close();
    }
  });
});
