/** Requests over HTTP/2 that are not native gRPC. Those over HTTP/1.1 have the same listener behind them. */
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Health, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { Http2Requests } from '../../src/transport/http/http2-requests.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';
import { rejectionOf } from '../support/rejection.js';

const TEXT = { texts: ['a text'], model: TextModel.TEXT };
const EMBED_TEXT = {
  ':method': 'POST',
  ':path': `/${InferenceService.typeName}/EmbedText`,
  'content-type': 'application/json',
};
const UNKNOWN = { ...EMBED_TEXT, ':path': '/v1/unknown' };
const JSON_TEXT = JSON.stringify({ texts: ['a text'], model: 'TEXT_MODEL_TEXT' });

describe('a request over HTTP/2', () => {
  const fake = useFakeServer({ PLAYGROUND: 'true', CORS_ORIGINS: 'https://app.example' });
  let session: http2.ClientHttp2Session;
  beforeEach(() => {
    session = http2.connect(fake.url);
  });
  afterEach(() => session.destroy());

  const send = async (headers: http2.OutgoingHttpHeaders, body?: string | Buffer) => {
    const stream = session.request(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    return { status: answer[':status'], headers: answer, body: await text(stream) };
  };

  for (const [protocol, createTransport] of [
    ['connect', createConnectTransport],
    ['grpc-web', createGrpcWebTransport],
  ] as const) {
    it(`of ${protocol} is answered as over HTTP/1.1, a stream and its cancellation included`, async () => {
      const own = createTransport({ baseUrl: fake.url, httpVersion: '2' });
      const client = createClient(InferenceService, own);
      const [result] = (await client.embedText(TEXT)).results;
      const [native] = (await fake.client.value(InferenceService.method.embedText, TEXT)).results;
      expect(result?.result).to.deep.equal(native?.result);
      const large = await client.embedText({ ...TEXT, texts: ['a'.repeat(3_000_000)] });
      expect(large.results).to.have.length(1);
      const error = await rejectionOf(client.embedText({ ...TEXT, texts: [] }), ConnectError);
      expect(error.code).to.equal(Code.InvalidArgument);
      const leave = new AbortController();
      const watch = createClient(Health, own).watch({}, { signal: leave.signal })[Symbol.asyncIterator]();
      expect((await watch.next()).value?.status).to.equal(1);
      leave.abort();
      await rejectionOf(watch.next(), ConnectError);
      const late = client.embedText({ ...TEXT, texts: ['until cancelled'] }, { timeoutMs: 100 });
      expect((await rejectionOf(late, ConnectError)).code).to.equal(Code.DeadlineExceeded);
    });
  }

  it("of OpenAI's API, for the page, the documents and the metrics is answered as over HTTP/1.1", async () => {
    const embeddings = { ':method': 'POST', ':path': '/v1/embeddings', 'content-type': 'application/json' };
    const { status, body } = await send(embeddings, JSON.stringify({ model: 'fake/bge-m3', input: 'a text' }));
    expect(status, body).to.equal(200);
    expect(JSON.parse(body).data).to.have.length(1);
    for (const path of ['/', '/docs', '/openapi.json', '/v1/models', '/unknown']) {
      const response = await fetch(fake.url + path);
      const answer = await send({ ':path': path });
      expect([answer.status, answer.body], path).to.deep.equal([response.status, await response.text()]);
    }
    expect((await send({ ':path': '/metrics' })).body).to.include('heimdex_requests_in_progress');
    const head = await send({ ':path': '/docs', ':method': 'HEAD' });
    expect([head.status, head.body]).to.deep.equal([200, '']);
    const allowed = await send({ ':path': '/docs', origin: 'https://app.example' });
    expect(allowed.headers['access-control-allow-origin']).to.equal('https://app.example');
  });

  it('of an unknown type is told what is taken', async () => {
    const json = await send({ ...EMBED_TEXT, 'content-type': 'application/grpc+json' }, '{}');
    expect([json.status, JSON.parse(json.body).message]).to.deep.equal([
      415,
      'Expected content-type application/json, application/proto, application/grpc-web+proto or application/grpc.',
    ]);
  });

  it('with an authority that no URL can have is answered', async () => {
    const { status } = await send({ ...EMBED_TEXT, ':authority': 'a%zz' }, JSON_TEXT);
    expect(status).to.equal(200);
  });

  it('that is answered before its end is ended without an error', async () => {
    const refused = { ...EMBED_TEXT, 'content-length': 2 ** 31 };
    const ended = [refused, UNKNOWN].map(async (headers) => {
      const stream = session.request(headers, { endStream: false });
      stream.write('a');
      const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      expect(answer[':status']).to.be.oneOf([404, 429]);
      expect(await text(stream)).to.include('"message"');
      if (!stream.closed) await once(stream, 'close');
      expect(stream.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR);
    });
    await Promise.all(ended);
  });

  it('that is answered before its end is read on: some callers take no answer before they have sent everything', async () => {
    const stream = session.request(UNKNOWN, { endStream: false });
    stream.write('a');
    await once(stream, 'response');
    stream.resume().end(Buffer.alloc(2 ** 25));
    await once(stream, 'close');
    // The last of it may still be on its way.
    expect(session.socket.bytesWritten).to.be.above(2 ** 24);
  });

  it('whose caller leaves ends its run', async () => {
    const stream = session.request(EMBED_TEXT);
    stream.end(JSON.stringify({ texts: ['until cancelled'], model: 'TEXT_MODEL_TEXT' }));
    while (!/^heimdex_requests_in_progress 1$/m.test(await (await fetch(`${fake.url}/metrics`)).text()));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    while (!/^heimdex_requests_in_progress 0$/m.test(await (await fetch(`${fake.url}/metrics`)).text()));
    const line = fake.log.findLast(({ path }) => String(path).endsWith('EmbedText'));
    expect(line).to.include({ protocol: 'connect', code: 'CANCELLED' });
  });

  it('that is not a call is ended for a new one above 256 of them, the oldest first; calls and probes stay', async () => {
    const call = session.request(EMBED_TEXT, { endStream: false });
    call.write(JSON_TEXT);
    // Nothing is read of the answers: their windows are full.
    const unread = http2.connect(fake.url, { settings: { initialWindowSize: 0 } });
    const pages = Array.from({ length: 300 }, () => unread.request({ ':path': '/openapi.json' }));
    const probe = await send({ ':path': '/livez' });
    expect(probe.status).to.equal(200);
    const evicted = pages.slice(0, 44);
    await Promise.all(evicted.map((page) => once(page, 'error')));
    expect(evicted.map(({ rstCode }) => rstCode)).to.deep.equal(
      Array(44).fill(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM),
    );
    expect(pages.slice(44).every(({ closed }) => !closed)).to.equal(true);
    unread.destroy();
    call.end();
    expect(JSON.parse(String(await buffer(call))).results).to.have.length(1);
  });
});

describe('an answer over HTTP/2 that is not read', () => {
  it('is ended after a time, and one that is not there yet is waited for', async () => {
    let late: (() => void) | undefined;
    const server = http2.createServer();
    const answer = new Http2Requests(20).listener((request, response) => {
      if (request.url === '/late') late = () => response.end('at last');
      else response.end('a'.repeat(100));
    });
    server.on('stream', (stream, headers) => answer(stream, headers, [])).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      settings: { initialWindowSize: 10 },
    });
    const inProgress = session.request({ ':path': '/late' });
    const unread = session.request({ ':path': '/' });
    await once(unread, 'close');
    expect(unread.rstCode).to.equal(http2.constants.NGHTTP2_CANCEL);
    late?.();
    expect(await text(inProgress)).to.equal('at last');
    session.destroy();
    server.close();
  });
});
