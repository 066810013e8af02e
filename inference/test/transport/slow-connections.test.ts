import { once } from 'node:events';
import type net from 'node:net';
import { expect } from 'chai';
import type { ConnectionTimeouts } from '../../src/transport/http/listener.js';
import { closeListeners, connect, GET, LAST, open, said, waitFor } from '../support/listener.js';

/** Sends one more byte as long as the other side takes it. */
function dribble(socket: net.Socket, byte: string): net.Socket {
  const timer = setInterval(() => socket.write(byte), 5);
  return socket.on('close', () => clearInterval(timer));
}

describe('a connection that is slow', () => {
  afterEach(closeListeners);

  const CASES: readonly (readonly [string, Partial<ConnectionTimeouts>, string, string, RegExp])[] = [
    ['to say which protocol it speaks', { firstBytesMs: 50 }, 'PRI * HTTP', '', /^$/],
    ['and says nothing', { firstBytesMs: 50 }, '', '', /^$/],
    ['with its headers', { headersMs: 50, requestMs: 100 }, 'GET / HTTP/1.1\r\nx: ', 'a', /^(HTTP\/1.1 4|$)/],
    ['with one byte', { headersMs: 50, requestMs: 100 }, 'G', '', /^(HTTP\/1.1 4|$)/],
    [
      'with its body',
      { headersMs: 50, requestMs: 100 },
      'POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n',
      'a',
      /^(HTTP\/1.1 4|$)/,
    ],
    [
      'with the chunks of its body',
      { headersMs: 50, requestMs: 100 },
      'POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n',
      '1\r\na\r\n',
      /^(HTTP\/1.1 4|$)/,
    ],
    ['between requests', { idleMs: 50 }, GET, '', /hello/],
  ];
  for (const [what, timeouts, text, more, expected] of CASES) {
    it(`${what} is ended`, async () => {
      const listener = await open(100, timeouts);
      const socket = await connect(listener, text);
      expect(await said(more === '' ? socket : dribble(socket, more))).to.match(expected);
    });
  }

  for (const [begun, path, answers] of [
    ['has begun', '/wait', ['HTTP/1.1 200']],
    ['has not begun', '/silent', null],
  ] as const) {
    it(`to be answered and sends no request meanwhile is ended, without another answer if its own ${begun}`, async () => {
      const listener = await open(100);
      const socket = await connect(listener, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      if (answers !== null) await once(socket, 'readable');
      socket.write('no request\r\n\r\n');
      expect((await said(socket)).match(/HTTP\/1\.1 \d+/g)).to.deep.equal(answers);
    });
  }

  it('with a body that ends in no chunk is told so: the answer is its own', async () => {
    const listener = await open(100);
    const head = 'POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
    expect(await said(await connect(listener, `${head}no chunk\r\n`))).to.match(/^HTTP\/1\.1 400/);
  });

  it('to be answered and sends many requests meanwhile is ended, and one that sends some is not', async () => {
    const listener = await open(100);
    const wait = 'GET /wait HTTP/1.1\r\nhost: x\r\n\r\n';
    expect(await said(await connect(listener, wait + GET.repeat(1000)))).not.to.include('hello');
    const some = await connect(listener, GET.repeat(31) + LAST);
    expect((await said(some)).match(/hello/g)).to.have.length(32);
  });

  it('to read its answer is ended, and one that waits for its answer is not', async () => {
    const listener = await open(100, { unreadMs: 50 });
    const waiting = await connect(listener, GET.replace('/ ', '/wait '));
    await once(waiting, 'data');
    const reader = await connect(listener, GET.replace('/ ', '/large '));
    reader.pause();
    await waitFor(() => listener.traffic().connections === 1);
    expect(waiting.destroyed).to.equal(false);
    reader.destroy();
    waiting.destroy();
  });
});
