/** Calls whose HTTP/2 frames are written here: a client of gRPC would not send them. */
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { Health } from '@heimdex/gen';
import { expect } from 'chai';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const fake = useFakeServer();

describe('a call that is reset at once', () => {
  it('is not answered: the answer, of another content type or an unknown method, would end the server', async () => {
    const socket = net.connect(fake.server.address.port, '127.0.0.1');
    const frames = [{ path: '/unknown' }, { type: 'text/plain' }].flatMap((call, index) => {
      const id = 2 * index + 1;
      return [beginCheck(id, call), Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, id, 0, 0, 0, 8])];
    });
    socket.write(Buffer.concat([OPENING, ...frames, PING]));
    let received = '';
    for await (const bytes of socket) {
      received += bytes;
      if (received.includes('the end.')) break;
    }
    expect((await fake.client.value(Health.method.check, {})).status).to.be.oneOf([1, 2]);
  });
});

describe('a call that is answered before its end', () => {
  it('is not reset when its end is on the way: nginx would fail the next call', async () => {
    const wasReset = async () => {
      const socket = net.connect(fake.server.address.port, '127.0.0.1');
      // A message that is too long, without its bytes.
      const data = Buffer.from([0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0xff, 0, 0, 0]);
      socket.write(Buffer.concat([OPENING, beginCheck(1), data]));
      let received = '';
      let isEnded = false;
      for await (const bytes of socket) {
        received += bytes.toString('latin1');
        // The frame of its status (END_STREAM and END_HEADERS) has come.
        if (!isEnded && received.includes('\x01\x05\x00\x00\x00\x01')) {
          isEnded = true;
          socket.write(Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 0, 0, 1]), PING]));
        }
        if (received.includes('the end.')) break;
      }
      return received.includes('\x00\x00\x04\x03\x00\x00\x00\x00\x01');
    };
    // It is waited for some time only, in which this process may stand still.
    expect((await wasReset()) && (await wasReset()) && (await wasReset())).to.equal(false);
  });
});

describe('GET over HTTP/2', () => {
  let session: http2.ClientHttp2Session;

  beforeEach(() => {
    session = http2.connect(fake.url);
  });
  afterEach(() => session.destroy());

  const get = async (
    path: string,
    headers: http2.OutgoingHttpHeaders = {},
    options?: http2.ClientSessionRequestOptions,
  ) => {
    const stream = session.request({ ':path': path, ...headers }, options);
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    return [answer[':status'], await text(stream)];
  };

  it('of a health path is answered as over HTTP/1.1: a proxy that sends gRPC to the port checks its health the same way', async () => {
    await fake.loaded(1);
    for (const path of ['/livez', '/readyz?x']) {
      const response = await fetch(fake.url + path);
      expect(await get(path)).to.deep.equal([response.status, await response.text()]);
    }
    expect(JSON.parse(String((await get('/health'))[1]))).to.include({ status: 'healthy' });
    expect(await get('/readyz', { ':method': 'HEAD' })).to.deep.equal([200, '']);
    fake.server.state.refuse('for the proxy');
    try {
      expect((await get('/readyz'))[0]).to.equal(503);
    } finally {
      fake.server.state.refuse(undefined);
    }
  });
});

describe('health calls that never end', () => {
  it('are ended, the oldest first, above 4096 of them; probes are answered and watchers stay', async () => {
    const watcher = fake.client.serverStream(Health.method.watch, {})[Symbol.asyncIterator]();
    await watcher.next();
    const open = 900;
    const sockets = Array.from({ length: 5 }, () => net.connect(fake.server.address.port, '127.0.0.1'));
    const evicted = new Promise<void>((resolve) => {
      let left = sockets.length * open - 4096;
      for (const socket of sockets) {
        socket.on('data', (bytes) => {
          left -= bytes.toString('latin1').split(CALM_DOWN).length - 1;
          if (left <= 0) resolve();
        });
      }
    });
    for (const socket of sockets) {
      socket.write(OPENING);
      for (let count = 0; count < open; count += 1) socket.write(beginCheck(2 * count + 1));
    }
    await evicted;
    expect((await fake.client.value(Health.method.check, {})).status).to.equal(1);
    fake.server.state.refuse('for the watcher');
    expect((await watcher.next()).value?.status).to.equal(2);
    for (const socket of sockets) socket.destroy();
  });

  it('hold little: a message has at most 4 KiB', async () => {
    const long = await fake.client.failure(Health.method.check, { service: 'a'.repeat(4097) });
    expect(long.reason).to.equal('MESSAGE_TOO_LARGE');
  });
});

/** What a client of HTTP/2 sends first: its preface and empty settings. */
const OPENING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

const PING = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, ...Buffer.from('the end.')]);

/** The content of a RST_STREAM frame with ENHANCE_YOUR_CALM. */
const CALM_DOWN = '\x00\x00\x00\x0b';

/** The HEADERS frame of a call of Health/Check, or of another path or content type, without a message. */
function beginCheck(
  streamId: number,
  { path = `/${Health.typeName}/Check`, type = 'application/grpc' }: { path?: string; type?: string } = {},
): Buffer {
  const text = (value: string) => [value.length, ...Buffer.from(value)];
  const fields = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'x'],
    [':path', path],
    ['content-type', type],
    ['te', 'trailers'],
  ] as const;
  // Literal fields without indexing (RFC 7541, section 6.2.2).
  const block = Buffer.from(fields.flatMap(([name, value]) => [0, ...text(name), ...text(value)]));
  const head = Buffer.from([0, 0, block.length, 1, 4, 0, 0, 0, 0]);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, block]);
}
