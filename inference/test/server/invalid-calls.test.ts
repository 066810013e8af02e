import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-node';
import { MIB } from '@heimdex/common';
import { ErrorInfoSchema, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const SERVICE = 'heimdex.inference.v1.InferenceService';
const { method } = InferenceService;

describe('the port', () => {
  const fake = useFakeServer();

  const post = (body: string) =>
    fetch(`${fake.url}/${SERVICE}/EmbedText`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });

  describe('errors', () => {
    it('name the invalid field over gRPC', async () => {
      const error = await fake.client.failure(method.embedText, { texts: [], model: TextModel.TEXT });
      expect(error).to.include({ code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT' });
      expect(error.fields).to.deep.equal(['texts']);
      expect(error.message).to.include('1 to 256');
    });

    it('have the same details over Connect, with the HTTP status', async () => {
      const response = await post('{"texts": [], "model": "TEXT_MODEL_TEXT"}');
      expect(response.status).to.equal(400);
      const { code, details } = (await response.json()) as { code: string; details: { type: string }[] };
      expect(code).to.equal('invalid_argument');
      expect(details.map(({ type }) => type)).to.deep.equal(['google.rpc.ErrorInfo', 'google.rpc.BadRequest']);
    });

    it('have the same details over gRPC-Web', async () => {
      const web = createClient(InferenceService, createGrpcWebTransport({ baseUrl: fake.url, httpVersion: '1.1' }));
      const error = await web.transcribe({}).then(
        () => undefined,
        (reason) => ConnectError.from(reason),
      );
      expect(error?.code).to.equal(Code.Unimplemented);
      expect(error?.findDetails(ErrorInfoSchema).map(({ reason }) => reason)).to.deep.equal(['FEATURE_DISABLED']);
    });

    it('say what is expected for a content type, a method of HTTP and a stream that cannot be, in the log as well', async () => {
      // What `curl -d` sends.
      const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: '{}' };
      const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
      // Of a client that speaks HTTP/1.1 in TLS where it may, such as connect-go's.
      const native = { method: 'POST', headers: { 'content-type': 'application/grpc' }, body: '{}' };
      for (const [path, init, status, words] of [
        [`${SERVICE}/EmbedText`, form, 415, 'application/json'],
        [`${SERVICE}/EmbedText`, native, 415, 'HTTP/2'],
        [`${SERVICE}/EmbedText`, { method: 'GET' }, 405, 'POST'],
        [`${SERVICE}/TranscribeStream`, json, 505, 'HTTP/2'],
        ['grpc.health.v1.Health/Watch', json, 415, 'application/connect+json'],
      ] as const) {
        const response = await fetch(`${fake.url}/${path}`, init);
        expect([response.status, response.headers.get('content-type')]).to.deep.equal([status, 'application/json']);
        const { code, message } = (await response.json()) as { code: string; message: string };
        expect(code).to.equal('invalid_argument');
        expect(message).to.include(words);
        const line = fake.log.find(({ call }) => call === response.headers.get('x-request-id'));
        // A GET is not a call.
        expect(line?.error).to.equal(status === 405 ? undefined : message);
      }
    });

    it('are UNIMPLEMENTED for an unknown method', async () => {
      const missing = { ...method.embedText, name: 'EmbedSound' } as typeof method.embedText;
      expect((await fake.client.failure(missing, {})).code).to.equal('UNIMPLEMENTED');
    });

    it('are INVALID_ARGUMENT for an invalid message', async () => {
      const response = await post('{"texts": 7');
      expect(response.status).to.equal(400);
      const broken = {
        ...method.embedText,
        input: { ...method.embedImage.input },
      } as unknown as typeof method.embedImage;
      const images = [{ content: new Uint8Array([1, 2, 3]) }];
      // Images sent as texts: invalid UTF-8 is not a string.
      const error = await fake.client.failure(broken, {
        images: [...images, { content: new Uint8Array([0xff, 0xfe]) }],
      });
      expect(error.code).to.equal('INVALID_ARGUMENT');
    });
  });

  /** What comes on a connection on which these are written. */
  function answerTo(texts: Iterable<string>): Promise<string> {
    const socket = net.connect(Number(new URL(fake.url).port), '127.0.0.1');
    for (const text of texts) socket.write(text);
    return new Promise((resolve) => {
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('close', () => resolve(answer));
    });
  }

  it('compresses an answer by brotli at a fast quality, not at the best', async () => {
    const body = JSON.stringify({ texts: Array(64).fill('a'), model: 'TEXT_MODEL_TEXT' });
    const headers = { 'content-type': 'application/json', 'accept-encoding': 'br' };
    const request = http.request(`${fake.url}/${SERVICE}/EmbedText`, { method: 'POST', headers }).end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect(response.headers['content-encoding']).to.equal('br');
    const sent = Buffer.concat(await response.toArray());
    const text = brotliDecompressSync(sent);
    expect((JSON.parse(text.toString()) as { results: unknown[] }).results).to.have.length(64);
    const fast = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
    expect(sent.equals(fast)).to.equal(true);
  });

  it('accepts a connection whose first bytes arrive one by one', async () => {
    const request = 'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
    expect(await answerTo(request)).to.match(/^HTTP\/1\.1 200 /);
  });

  it('keeps a connection for longer than proxies do, which would send a call on one that is just being closed', async () => {
    const { headers } = await fetch(`${fake.url}/livez`);
    const [, seconds] = /timeout=(\d+)/.exec(headers.get('keep-alive') ?? '') ?? [];
    // AWS and nginx keep one for 60 s, Go's proxies for 90 or 120 s.
    expect(Number(seconds)).to.be.greaterThan(120);
  });

  it('refuses a request with two hosts, of which a proxy may have taken the other', async () => {
    const request = 'GET /livez HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n';
    expect(await answerTo([request])).to.match(/^HTTP\/1\.1 400 /);
  });

  it('survives bytes of no known protocol', async () => {
    for (const text of ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage', 'garbage\r\n\r\n']) {
      await new Promise<void>((resolve) => {
        const socket = net.connect(Number(new URL(fake.url).port), '127.0.0.1', () => socket.end(text));
        socket.on('close', () => resolve());
        socket.on('error', () => {});
        socket.resume();
      });
    }
    expect((await fetch(`${fake.url}/livez`)).status).to.equal(200);
  });

  it('answers HTTP/1.0 without a host, and a host that no URL can have', async () => {
    const body = JSON.stringify({ texts: ['a'], model: 'TEXT_MODEL_TEXT' });
    const head = `connection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    for (const first of ['1.0', '1.1\r\nhost:', '1.1\r\nhost: [fe80::1%25eth0]:8001']) {
      const answer = await answerTo([`POST /${SERVICE}/EmbedText HTTP/${first}\r\n${head}${body}`]);
      expect(answer, first).to.match(/^HTTP\/1\.1 200 .*"results"/s);
    }
  });

  it('does not tell an HTTP/1.0 caller to continue', async () => {
    const request = `POST /${SERVICE}/EmbedText HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n`;
    const answer = await answerTo([`${request}content-type: application/json\r\n\r\n{}`]);
    expect(answer).to.match(/^HTTP\/1\.1 501 /);
  });

  it('reads on after an early answer to a caller that wants the connection closed, such as nginx', async () => {
    const rest = 'x'.repeat(4 * MIB);
    for (const first of ['1.0', '1.1\r\nconnection: close']) {
      for (const path of [`/${SERVICE}/EmbedText`, '/v1/audio/transcriptions', '/sounds']) {
        const socket = net.connect({ port: Number(new URL(fake.url).port), host: '127.0.0.1', allowHalfOpen: true });
        const head = `POST ${path} HTTP/${first}\r\nhost: x\r\nconnect-timeout-ms: 0\r\n`;
        socket.write(`${head}content-length: ${rest.length}\r\n\r\n`);
        const [answer] = await once(socket, 'data');
        expect(String(answer), path).to.match(/^HTTP\/1\.1 [45]04 /);
        socket.resume().end(rest);
        // Rejects if the connection is reset.
        await once(socket, 'close');
      }
    }
  });

  it('reads on after an early answer, which the caller would lose if the connection were reset', async () => {
    const rest = 'x'.repeat(1000);
    for (const [path, status] of [
      ['/v1/audio/transcriptions', 504],
      ['/v1/sounds', 404],
      ['/sounds', 404],
      ['/livez', 405],
    ] as const) {
      const socket = net.connect(Number(new URL(fake.url).port), '127.0.0.1');
      const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nconnect-timeout-ms: 0\r\n`;
      socket.write(`${head}content-length: ${rest.length}\r\n\r\n`);
      let answers = String((await once(socket, 'data'))[0]);
      socket.on('data', (chunk) => {
        answers += chunk;
      });
      socket.write(`${rest}GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      await once(socket, 'close');
      expect(answers.match(/HTTP\/1\.1 \d+/g), path).to.deep.equal([`HTTP/1.1 ${status}`, 'HTTP/1.1 200']);
    }
  });
});
