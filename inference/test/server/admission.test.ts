/** Resource exhaustion over every protocol: memory, time on the serving thread, and availability meanwhile. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { MIB } from '@heimdex/common';
import { EmbedImageRequestSchema, EmbedTextRequestSchema, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import {
  EMBED_IMAGE,
  EMBED_TEXT,
  envelope,
  FORMS,
  type Form,
  logged,
  ONE,
  ONE_JSON,
  post,
} from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText, embedImage, getServerInfo } = InferenceService.method;
const EXHAUSTED = ['resource_exhausted', '8'];
const INVALID = ['invalid_argument', '3'];

describe('memory for requests', () => {
  // A quarter is reserved for requests: 69 MiB.
  const fake = useFakeServer({ MEMORY_LIMIT_GB: '0.27', MAX_MESSAGE_MIB: '8' });

  const served = async () => {
    expect((await fake.client.value(embedText, ONE)).results).to.have.length(1);
    for (const form of ['json', 'proto', 'grpc-web'] as const) {
      const message =
        form === 'json' ? Buffer.from(ONE_JSON) : toBinary(EmbedTextRequestSchema, create(EmbedTextRequestSchema, ONE));
      expect((await post(fake, EMBED_TEXT, form, message)).code, form).to.equal('0');
    }
    expect((await fetch(`${fake.url}/readyz`)).status).to.equal(200);
  };

  // A message is held twice while it arrives, for four times what has arrived of it, and once when it has been decompressed.
  for (const [which, headers, count] of [
    ['concurrent large calls', {}, 5],
    ['small messages that decompress to large ones', { 'grpc-encoding': 'gzip', 'content-encoding': 'gzip' }, 10],
  ] as const) {
    it(`is limited for ${which}, and later ones are served`, async () => {
      const message = { images: [{ content: new Uint8Array(7.5 * MIB) }] };
      const large = toBinary(EmbedImageRequestSchema, create(EmbedImageRequestSchema, message));
      const isPacked = 'grpc-encoding' in headers;
      const body = isPacked ? gzipSync(large) : large;
      let end = () => {};
      const until = new Promise<void>((resolve) => {
        end = resolve;
      });
      // One fewer fit.
      const held = Array.from({ length: count }, async () => {
        const sent = envelope(body, isPacked ? 1 : 0);
        const answer = await rawGrpc(fake.url, EMBED_IMAGE, sent, headers, { bytes: 2 * MIB, until });
        return String(answer['grpc-status']);
      });
      const posted = (['proto', 'grpc-web'] as const).map(
        async (form) => (await post(fake, EMBED_IMAGE, form, body, headers)).code,
      );
      const first = await Promise.race(held).finally(end);
      expect(first).to.equal('8');
      // Vision is disabled here: admitted calls get UNIMPLEMENTED.
      for (const code of await Promise.all([...held, ...posted])) {
        expect(code).to.be.oneOf(['unimplemented', '12', ...EXHAUSTED]);
      }
      await served();
      const metrics = await (await fetch(`${fake.url}/metrics`)).text();
      expect(metrics).to.match(/^heimdex_refused_total\{priority="interactive",reason="memory"\} [1-9]/m);
    });
  }

  it('lets a caller that sends Expect: 100-continue send its body', async () => {
    const request = http.request(`${fake.url}/${EMBED_TEXT}`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': ONE_JSON.length, expect: '100-continue' },
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end(ONE_JSON);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect(response.statusCode).to.equal(200);
    await response.toArray();
  });

  it('retains nothing of calls whose callers disconnected', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    await served();
    const before = timers();
    for (let index = 0; index < 20; index += 1) {
      const session = http2.connect(fake.url);
      session.on('error', () => {});
      const call = `gone-${index}`;
      const headers = { 'content-type': 'application/grpc', te: 'trailers', 'x-request-id': call };
      const stream = session.request({ ':method': 'POST', ':path': `/${EMBED_IMAGE}`, ...headers });
      stream.on('error', () => {});
      stream.write(envelope(Buffer.alloc(2 * MIB)).subarray(0, MIB));
      await once(session, 'remoteSettings');
      session.destroy();
      expect(await logged(fake, call)).to.include({ code: 'CANCELLED' });
    }
    expect(timers() - before).to.be.lessThan(10);
  });

  it('is reported with the maximum message size if a message can never fit', async () => {
    const huge = Buffer.alloc(9 * MIB);
    const packed = gzipSync(huge);
    const said = [
      await post(fake, EMBED_TEXT, 'json', huge),
      await post(fake, EMBED_TEXT, 'grpc-web', huge),
      await post(fake, EMBED_TEXT, 'proto', packed, { 'content-encoding': 'gzip' }),
      // Names of codings have no case.
      await post(fake, EMBED_TEXT, 'proto', packed, { 'content-encoding': 'GZip' }),
      await post(fake, EMBED_TEXT, 'grpc-web', packed, { 'grpc-encoding': 'gzip' }),
    ];
    for (const { code, text } of said) {
      expect(code).to.be.oneOf(EXHAUSTED);
      expect(decodeURIComponent(text), text).to.match(
        /(largest this server takes|larger than the limit of) .*TranscribeStream/,
      );
    }
    const error = await fake.client.failure(embedImage, { images: [{ content: huge }] });
    expect(error).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' });
    expect(error.message).to.match(/8388608/);
    const answer = await rawGrpc(fake.url, EMBED_TEXT, envelope(packed, 1), { 'grpc-encoding': 'gzip' });
    expect(answer['grpc-status']).to.equal('8');
    expect(answer['grpc-status-details-bin']).to.be.a('string');
    await served();
  });

  it('is held for a message and for what follows it together', async () => {
    const half = Buffer.alloc(5 * MIB);
    const headers = { 'content-type': FORMS['grpc-web'].type };
    const body = Buffer.concat([envelope(half), envelope(half, 0x80)]);
    const response = await fetch(`${fake.url}/${EMBED_TEXT}`, { method: 'POST', headers, body });
    expect(await response.text())
      .to.include('grpc-status: 8')
      .and.include('largest');
  });

  it('determines the reported maximum message size', async () => {
    const { limits } = await fake.client.value(getServerInfo, {});
    expect(limits?.maxMessageBytes).to.equal(BigInt(8 * MIB));
  });

  it('lowers MAX_MESSAGE_MIB if memory is short', async () => {
    const small = await startFakeServer({ MEMORY_LIMIT_GB: '0.5', MAX_MESSAGE_MIB: '512' });
    try {
      await small.server.warm;
      const { limits } = await small.client.value(getServerInfo, {});
      expect(Number(limits?.maxMessageBytes)).to.be.within(60 * MIB, 64 * MIB);
      expect(small.log.some(({ msg }) => msg.includes('MAX_MESSAGE_MIB'))).to.equal(true);
    } finally {
      await small.close();
    }
  });
});

describe('a server without capacity', () => {
  let fake: FakeServer;
  let cancel: (() => void) | undefined;
  before(async () => {
    fake = await startFakeServer({ MAX_QUEUE: '1' });
    await fake.server.warm;
    const request = { texts: ['until cancelled'], model: TextModel.TEXT };
    void fake.client.unary(embedText, request, { onStart: (stop) => (cancel = stop) });
    await fake.client.value(getServerInfo, {});
  });
  after(async () => {
    cancel?.();
    await fake.close();
  });

  for (const form of ['json', 'proto', 'grpc-web'] as const) {
    it(`refuses before the body arrives: ${form}`, async () => {
      const request = http.request(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        agent: false,
        headers: { 'content-type': FORMS[form].type, 'content-length': '10000000' },
      });
      request.on('error', () => {});
      request.flushHeaders();
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      const text = (await response.toArray()).join('');
      if (form === 'grpc-web') expect(text).to.match(/grpc-status: 8/);
      else {
        expect(response.statusCode).to.equal(429);
        expect(text).to.match(/resource_exhausted.*RetryInfo/);
      }
      request.destroy();
    });
  }

  it('refuses a caller that sends Expect: 100-continue', async () => {
    const request = http.request(`${fake.url}/${EMBED_TEXT}`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': '100000', expect: '100-continue' },
    });
    request.on('error', () => {});
    let asked = false;
    request.on('continue', () => {
      asked = true;
    });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect([response.statusCode, asked]).to.deep.equal([429, false]);
    request.destroy();
  });
});

describe('a message that is too expensive to decode', () => {
  const fake = useFakeServer();

  const repeated = (chunk: string | Buffer, bytes: number) => Buffer.alloc(bytes, chunk);
  const BOMBS: readonly (readonly [string, Form | 'grpc', string, Buffer])[] = [
    ['empty images', 'json', EMBED_IMAGE, Buffer.from(`{"images":[${'{},'.repeat(2_000_000)}{}]}`)],
    ['empty texts', 'json', EMBED_TEXT, Buffer.from(`{"texts":[${'"",'.repeat(2_000_000)}""]}`)],
    ['numbers', 'json', EMBED_TEXT, Buffer.from(`{"texts":[${'0,'.repeat(2_000_000)}0]}`)],
    ['depth', 'json', EMBED_TEXT, repeated('[', 2_000_000)],
    ['empty images', 'proto', EMBED_IMAGE, repeated(Buffer.from([0x0a, 0]), 4_000_000)],
    ['unknown fields', 'proto', EMBED_IMAGE, repeated(Buffer.from([0x78, 0]), 4_000_000)],
    ['empty texts', 'grpc-web', EMBED_TEXT, repeated(Buffer.from([0x0a, 0]), 4_000_000)],
    ['empty images', 'grpc', EMBED_IMAGE, repeated(Buffer.from([0x0a, 0]), 4_000_000)],
    [
      'text',
      'grpc',
      EMBED_TEXT,
      Buffer.concat([Buffer.from([0x0a, 0x80, 0xc8, 0xd0, 0x07]), repeated('a', 16_000_000)]),
    ],
  ];
  for (const [what, form, path, body] of BOMBS) {
    it(`is rejected before it is decoded: ${what}, ${form}`, async () => {
      if (form === 'grpc') {
        const answer = await rawGrpc(fake.url, path, envelope(body));
        expect(answer['grpc-status']).to.equal('3');
        expect(decodeURIComponent(String(answer['grpc-message']))).to.match(/more than \d+/);
        return;
      }
      const { code, text } = await post(fake, path, form, body);
      expect(code).to.be.oneOf(INVALID);
      expect(decodeURIComponent(text)).to.match(/more than \d+ values|deeper than/);
    });
  }

  it('may have large content', async () => {
    const content = Buffer.alloc(20 * MIB).toString('base64');
    const body = Buffer.from(JSON.stringify({ images: [{ content }] }));
    expect((await post(fake, EMBED_IMAGE, 'json', body)).code).to.equal('unimplemented');
  });

  it('is distinguished from one with invalid UTF-8, small or large', async () => {
    for (const size of [10, 100_000]) {
      const body = Buffer.concat([
        Buffer.from(`{"model":"TEXT_MODEL_TEXT","texts":["${'a'.repeat(size)}`),
        Buffer.from([0xff, 0xfe, 0xc3]),
        Buffer.from('"]}'),
      ]);
      const { code, text } = await post(fake, EMBED_TEXT, 'json', body);
      expect(code, String(size)).to.equal('invalid_argument');
      expect(text).to.match(/not valid UTF-8/);
    }
    const good = JSON.stringify({ texts: ['é'.repeat(50_000)], model: 'TEXT_MODEL_TEXT' });
    expect((await post(fake, EMBED_TEXT, 'json', Buffer.from(good))).code).to.equal('0');
  });
});
