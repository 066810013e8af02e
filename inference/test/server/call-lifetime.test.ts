/** Calls whose deadline passes, whose caller goes or sends slowly, and whose response does not fit. */
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import grpc from '@grpc/grpc-js';
import { EmbedTextRequestSchema, ErrorInfoSchema, InferenceService, StatusSchema, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { EMBED_TEXT, envelope, FORMS, logged, ONE, ONE_JSON, post } from '../fixtures/embed-calls.js';
import { startFakeServer } from '../fixtures/fake-server.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText } = InferenceService.method;

const fake = useFakeServer();

describe('a deadline beyond the timer limit', () => {
  const message = toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, ONE));
  for (const value of ['2147484S', '600H', '1000000H', '99999999H', '99999999M']) {
    it(`has not passed: ${value}`, async () => {
      const answer = await rawGrpc(fake.url, EMBED_TEXT, envelope(message), { 'grpc-timeout': value });
      expect(answer['grpc-status']).to.equal('0');
      expect((await post(fake, EMBED_TEXT, 'grpc-web', message, { 'grpc-timeout': value })).code).to.equal('0');
    });
  }
  for (const value of ['2147483648', '9999999999']) {
    it(`has not passed: ${value} ms over Connect`, async () => {
      const { code } = await post(fake, EMBED_TEXT, 'json', Buffer.from(ONE_JSON), { 'connect-timeout-ms': value });
      expect(code).to.equal('0');
    });
  }

  it('is refused, not read as passed, with more digits than the protocol has', async () => {
    const answer = await rawGrpc(fake.url, EMBED_TEXT, envelope(message), { 'grpc-timeout': '100000000H' });
    expect(answer).to.include({ 'grpc-status': '13' });
    expect(decodeURIComponent(String(answer['grpc-message']))).to.match(/grpc-timeout.*up to eight digits/);
    const web = await post(fake, EMBED_TEXT, 'grpc-web', message, { 'grpc-timeout': '100000000H' });
    expect(web.code).to.equal('3');
  });

  it('is distinguished from one that has passed', async () => {
    expect((await rawGrpc(fake.url, EMBED_TEXT, envelope(message), { 'grpc-timeout': '1n' }))['grpc-status']).to.equal(
      '4',
    );
    const { code } = await post(fake, EMBED_TEXT, 'json', Buffer.from(ONE_JSON), { 'connect-timeout-ms': '0' });
    expect(code).to.equal('deadline_exceeded');
  });
});

describe('a deadline that passes', () => {
  it('has the same error over native gRPC as over Connect, while the call arrives and while it runs', async () => {
    const timeout = { 'connect-timeout-ms': '100' };
    const texts = { texts: ['until cancelled'], model: TextModel.TEXT };
    const message = toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, texts));
    const connect = await fetch(`${fake.url}/${EMBED_TEXT}`, {
      method: 'POST',
      headers: { 'content-type': 'application/proto', ...timeout },
      body: message,
    });
    const error = (await connect.json()) as { message: string; details: { debug: { reason: string } }[] };
    expect(error.details.map(({ debug }) => debug.reason)).to.deep.equal(['DEADLINE_EXCEEDED']);
    const never = { bytes: 3, until: new Promise<void>(() => {}) };
    for (const held of [undefined, never]) {
      const answer = await rawGrpc(fake.url, EMBED_TEXT, envelope(message), { 'grpc-timeout': '100m' }, held);
      expect(answer['grpc-status']).to.equal('4');
      expect(decodeURIComponent(String(answer['grpc-message']))).to.equal(error.message);
      const status = fromBinary(StatusSchema, Buffer.from(String(answer['grpc-status-details-bin']), 'base64'));
      expect(status.details.map((one) => anyUnpack(one, ErrorInfoSchema)?.reason)).to.deep.equal(['DEADLINE_EXCEEDED']);
    }
  });
});

describe('a call that is cancelled while it arrives', () => {
  for (const form of ['json', 'proto', 'grpc-web'] as const) {
    it(`is CANCELLED, with its peer: ${form}`, async () => {
      const socket = net.connect(fake.server.address.port, '127.0.0.1');
      await once(socket, 'connect');
      const peer = `127.0.0.1:${socket.localPort}`;
      const id = `given-up-${form}`;
      const head = `POST /${EMBED_TEXT} HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\ncontent-type: ${FORMS[form].type}\r\n`;
      socket.write(`${head}content-length: 100000\r\n\r\n`);
      socket.write(FORMS[form].enveloped ? Buffer.from([0, 0, 1, 0, 0, 10]) : '{"texts":');
      // The server has received it when it counts it.
      while (!/heimdex_requests_in_progress 1/.test(await (await fetch(`${fake.url}/metrics`)).text()));
      socket.destroy();
      expect(await logged(fake, id)).to.include({ code: 'CANCELLED', reason: 'CANCELLED', peer });
    });
  }

  for (const [how, end] of [
    ['its stream', (stream: http2.ClientHttp2Stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
    ['its connection', (stream: http2.ClientHttp2Stream) => stream.session?.destroy()],
  ] as const) {
    it(`is CANCELLED, with its peer: gRPC, by ${how}`, async () => {
      const session = http2.connect(fake.url);
      session.on('error', () => {});
      await once(session, 'connect');
      const peer = `127.0.0.1:${session.socket.localPort}`;
      const id = `given-up-${how.replace(' ', '-')}`;
      const stream = session.request({
        ':method': 'POST',
        ':path': `/${EMBED_TEXT}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        'x-request-id': id,
      });
      stream.on('error', () => {});
      stream.write(Buffer.from([0, 0, 1, 0, 0, 10]));
      while (!/heimdex_requests_in_progress 1/.test(await (await fetch(`${fake.url}/metrics`)).text()));
      end(stream);
      expect(await logged(fake, id)).to.include({ code: 'CANCELLED', reason: 'CANCELLED', peer });
      session.destroy();
    });
  }

  it('frees its resources', async () => {
    while (!/heimdex_requests_in_progress 0/.test(await (await fetch(`${fake.url}/metrics`)).text()));
    expect((await fake.client.value(embedText, ONE)).results).to.have.length(1);
  });
});

describe('pipelined calls of a connection that closes', () => {
  it('are all CANCELLED', async () => {
    const body = JSON.stringify({ texts: ['until cancelled'], model: 'TEXT_MODEL_TEXT' });
    const ids = ['piped-1', 'piped-2', 'piped-3'];
    const socket = net.connect(fake.server.address.port, '127.0.0.1');
    for (const id of ids) {
      const head = `POST /${EMBED_TEXT} HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\ncontent-type: application/json\r\n`;
      socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
    }
    while (!/heimdex_requests_in_progress 3/.test(await (await fetch(`${fake.url}/metrics`)).text()));
    socket.destroy();
    for (const id of ids) expect(await logged(fake, id)).to.include({ code: 'CANCELLED' });
  });
});

describe('callers that send one byte each', () => {
  it('do not block others', async () => {
    const fake = await startFakeServer({ MAX_CONNECTIONS: '32' });
    const sockets: net.Socket[] = [];
    try {
      await fake.server.warm;
      for (let index = 0; index < 100; index += 1) {
        const socket = net.connect(fake.server.address.port, '127.0.0.1');
        socket.on('error', () => {});
        await once(socket, 'connect');
        socket.write('P');
        sockets.push(socket);
      }
      const fresh = new GrpcClient(`127.0.0.1:${fake.server.address.port}`);
      expect((await fresh.value(embedText, ONE)).results).to.have.length(1);
      fresh.close();
      expect((await fetch(`${fake.url}/livez`)).status).to.equal(200);
    } finally {
      for (const socket of sockets) socket.destroy();
      await fake.close();
    }
  });
});

describe('an answer larger than a message may be', () => {
  const fake = useFakeServer({ MAX_MESSAGE_MIB: '1' });

  const asking = (texts: readonly string[]) => ({ texts: [...texts], model: TextModel.TEXT });
  const LARGE = 'large answer';

  it('is in the log as its caller got it, over every protocol', async () => {
    const asked = asking([LARGE, LARGE]);
    const binary = toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, asked));
    const ways = {
      json: () => post(fake, EMBED_TEXT, 'json', Buffer.from(json([LARGE])), { 'x-request-id': 'json' }),
      proto: () => post(fake, EMBED_TEXT, 'proto', binary, { 'x-request-id': 'proto' }),
      'grpc-web': () => post(fake, EMBED_TEXT, 'grpc-web', binary, { 'x-request-id': 'grpc-web' }),
      grpc: () => rawGrpc(fake.url, EMBED_TEXT, envelope(binary), { 'x-request-id': 'grpc' }),
    };
    for (const [call, way] of Object.entries(ways)) {
      const answer = await way();
      const code = 'code' in answer ? answer.code : String(answer['grpc-status']);
      expect(code, call).to.be.oneOf(['resource_exhausted', '8']);
      expect(await logged(fake, call), call).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' });
    }
  });

  it('is distinguished from one of the same size that fits', async () => {
    const binary = toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, asking([LARGE])));
    for (const form of ['proto', 'grpc-web'] as const) {
      const call = `fits-${form}`;
      expect((await post(fake, EMBED_TEXT, form, binary, { 'x-request-id': call })).code, form).to.equal('0');
      expect(await logged(fake, call)).to.include({ code: 'OK' });
    }
  });

  const json = (texts: readonly string[]) => JSON.stringify({ texts, model: 'TEXT_MODEL_TEXT' });
});

describe('a call whose headers are invalid', () => {
  const proto = toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, ONE));
  const CASES = [
    ['json', { 'connect-timeout-ms': 'soon' }, 'invalid_argument', 'INVALID_ARGUMENT'],
    ['json', { 'content-encoding': 'zstd' }, 'unimplemented', 'UNIMPLEMENTED'],
    ['grpc-web', { 'grpc-timeout': 'soon' }, '3', 'INVALID_ARGUMENT'],
    ['grpc-web', { 'grpc-encoding': 'zstd' }, '12', 'UNIMPLEMENTED'],
  ] as const;
  for (const [form, headers, answered, code] of CASES) {
    it(`is logged with the status that it gets: ${form}, ${Object.entries(headers).join()}`, async () => {
      const id = `header-${form}-${code}`;
      const message = form === 'json' ? Buffer.from(ONE_JSON) : proto;
      const answer = await post(fake, EMBED_TEXT, form, message, { ...headers, 'x-request-id': id });
      expect(answer.code).to.equal(answered);
      expect(await logged(fake, id)).to.include({ code, reason: 'INVALID_ARGUMENT' });
    });
  }
});

describe('a stream of reflection', () => {
  it('without a request ends after the idle timeout', async () => {
    const fake = await startFakeServer({ STREAM_IDLE_SECONDS: '0.1' });
    try {
      const stream = fake.client.reflection().resume();
      const [error] = await once(stream, 'error');
      expect(error).to.include({ code: grpc.status.DEADLINE_EXCEEDED, details: 'No request arrived for 0.1 seconds.' });
    } finally {
      await fake.close();
    }
  });
});
