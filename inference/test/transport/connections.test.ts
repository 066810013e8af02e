import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http2 from 'node:http2';
import net from 'node:net';
import { expect } from 'chai';
import { peerOf } from '../../src/transport/calls/peer.js';
import { Connections } from '../../src/transport/http/connections.js';
import { type ConnectionTimeouts, type Listener, listen } from '../../src/transport/http/listener.js';

const PATIENT: ConnectionTimeouts = {
  firstBytesMs: 60_000,
  headersMs: 60_000,
  requestMs: 60_000,
  idleMs: 60_000,
  unreadMs: 60_000,
  lookEveryMs: 20,
};

/** A listener that answers everything at once, except requests to /wait and /silent, which it leaves open. */
async function open(max: number, timeouts: Partial<ConnectionTimeouts> = {}, port = 0): Promise<Listener> {
  const h2 = http2.createServer();
  h2.on('sessionError', () => {});
  return listen({
    host: '127.0.0.1',
    port,
    connections: new Connections(max),
    maxConnections: max,
    timeouts: { ...PATIENT, ...timeouts },
    tls: undefined,
    http2: (socket) => h2.emit('connection', socket),
    http1: (request, response) => {
      if (request.url === '/wait') response.flushHeaders();
      else if (request.url === '/silent') return;
      else if (request.url === '/large') response.end(Buffer.alloc(64 * 1024 * 1024));
      else if (request.url === '/body') request.resume().on('end', () => response.end('whole'));
      else response.end('hello');
    },
  });
}

async function close(listener: Listener): Promise<void> {
  const closed = listener.close();
  listener.destroy();
  await closed;
}

async function connect({ address: { port } }: Listener, text = '', localAddress?: string): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) });
  socket.on('error', () => {});
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

/** However it ends: a server that has not read everything resets the connection. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** What the server says on a connection until it ends it. */
async function said(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await closed(socket);
  return Buffer.concat(chunks).toString();
}

const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const LAST = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

/** Sends one more byte as long as the other side takes it. */
function dribble(socket: net.Socket, byte: string): net.Socket {
  const timer = setInterval(() => socket.write(byte), 5);
  return socket.on('close', () => clearInterval(timer));
}

describe('a connection that is slow', () => {
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
      try {
        const socket = await connect(listener, text);
        expect(await said(more === '' ? socket : dribble(socket, more))).to.match(expected);
      } finally {
        await close(listener);
      }
    });
  }

  for (const [begun, path, answers] of [
    ['has begun', '/wait', ['HTTP/1.1 200']],
    ['has not begun', '/silent', null],
  ] as const) {
    it(`to be answered and sends no request meanwhile is ended, without another answer if its own ${begun}`, async () => {
      const listener = await open(100);
      try {
        const socket = await connect(listener, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
        if (answers !== null) await once(socket, 'readable');
        socket.write('no request\r\n\r\n');
        expect((await said(socket)).match(/HTTP\/1\.1 \d+/g)).to.deep.equal(answers);
      } finally {
        await close(listener);
      }
    });
  }

  it('with a body that ends in no chunk is told so: the answer is its own', async () => {
    const listener = await open(100);
    try {
      const head = 'POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
      expect(await said(await connect(listener, `${head}no chunk\r\n`))).to.match(/^HTTP\/1\.1 400/);
    } finally {
      await close(listener);
    }
  });

  it('to be answered and sends many requests meanwhile is ended, and one that sends some is not', async () => {
    const listener = await open(100);
    try {
      const wait = 'GET /wait HTTP/1.1\r\nhost: x\r\n\r\n';
      expect(await said(await connect(listener, wait + GET.repeat(1000)))).not.to.include('hello');
      const some = await connect(listener, GET.repeat(31) + LAST);
      expect((await said(some)).match(/hello/g)).to.have.length(32);
    } finally {
      await close(listener);
    }
  });

  it('to read its answer is ended, and one that waits for its answer is not', async () => {
    const listener = await open(100, { unreadMs: 50 });
    try {
      const waiting = await connect(listener, GET.replace('/ ', '/wait '));
      await once(waiting, 'data');
      const reader = await connect(listener, GET.replace('/ ', '/large '));
      reader.pause();
      await waitFor(() => listener.traffic().connections === 1);
      expect(waiting.destroyed).to.equal(false);
      reader.destroy();
      waiting.destroy();
    } finally {
      await close(listener);
    }
  });
});

describe('connections', () => {
  it('of one byte each keep nobody out, however many they are', async () => {
    const listener = await open(20);
    try {
      const strangers: net.Socket[] = [];
      for (let index = 0; index < 60; index += 1)
        strangers.push(await connect(listener, index % 2 === 0 ? 'G' : 'PRI *'));
      expect(await said(await connect(listener, LAST))).to.match(/hello/);
      // One address may have half of the connections.
      await waitFor(() => listener.traffic().connections <= 10);
      for (const socket of strangers) socket.destroy();
    } finally {
      await close(listener);
    }
  });

  it('that are reset before they are accepted leave the limit as it is', async function () {
    // Others have only one address of their own.
    if (process.platform !== 'linux') return this.skip();
    const listener = await open(4);
    try {
      const { port } = listener.address;
      const reset = `const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.resetAndDestroy())`;
      // This process accepts nothing until the other one has ended.
      execFileSync(process.execPath, ['-e', `for (let count = 0; count < 5; count += 1) { ${reset} }`]);
      const later: net.Socket[] = [];
      for (let index = 2; index < 8; index += 1) later.push(await connect(listener, 'G', `127.0.0.${index}`));
      expect(await said(await connect(listener, LAST))).to.match(/hello/);
      await waitFor(() => listener.traffic().connections <= 4);
      for (const socket of later) socket.destroy();
    } finally {
      await close(listener);
    }
  });

  it('with work in progress are not ended for others, and are counted', async () => {
    const listener = await open(8);
    try {
      const busy = await Promise.all([1, 2, 3, 4].map(() => connect(listener, GET.replace('/ ', '/wait '))));
      await Promise.all(busy.map((socket) => once(socket, 'data')));
      const refused = await connect(listener, LAST);
      expect(await said(refused)).to.equal('');
      expect(busy.map(({ destroyed }) => destroyed)).to.deep.equal([false, false, false, false]);
      busy[0]?.destroy();
      await waitFor(() => listener.traffic().connections === 3);
      expect(await said(await connect(listener, LAST))).to.match(/hello/);
      for (const socket of busy) socket.destroy();
    } finally {
      await close(listener);
    }
  });

  it('that never sent a complete request are closed before idle ones', async () => {
    const listener = await open(8);
    try {
      const idle = await connect(listener, GET);
      await once(idle, 'data');
      const silent = await Promise.all([1, 2, 3].map(() => connect(listener, 'G')));
      await waitFor(() => listener.traffic().connections === 4);
      const ended = Promise.race(silent.map((socket) => closed(socket)));
      expect(await said(await connect(listener, LAST))).to.match(/hello/);
      await ended;
      idle.write(LAST);
      expect(await said(idle)).to.match(/hello/);
      for (const socket of silent) socket.destroy();
    } finally {
      await close(listener);
    }
  });

  it('count for their address, of IPv6 for its first 64 bits', () => {
    expect(peerOf('127.0.0.1')).to.equal('127.0.0.1');
    expect(peerOf('::ffff:10.0.0.1')).to.equal('10.0.0.1');
    expect(peerOf('2001:db8:1:2:3:4:5:6')).to.equal(peerOf('2001:db8:1:2::9'));
    expect(peerOf('2001:db8:1:2::9')).not.to.equal(peerOf('2001:db8:1:3::9'));
    expect(peerOf('fe80::1%eth0')).to.equal('fe80:0:0:0::/64');
    expect(peerOf('::1')).to.equal('0:0:0:0::/64');
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('connections that arrive faster than they are accepted', () => {
  it('wait in a queue as long as the connection limit, and none is refused by the system', async function () {
    if (process.platform !== 'linux') return this.skip();
    const listener = await open(2000);
    // In one turn of the event loop, so that the server accepts none of them; more than Node's default queue of 511.
    const sockets = Array.from({ length: 900 }, () => net.connect(listener.address.port, '127.0.0.1'));
    const waiting = await unconnected(listener.address.port);
    expect(waiting).to.equal(0);
    for (const socket of sockets) socket.on('error', () => {}).destroy();
    await close(listener);
  });

  it('are accepted through several sockets of the same port, if Node.js supports it', async function () {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    if (process.platform !== 'linux' || major < 22 || (major === 22 && minor < 12)) return this.skip();
    const listener = await open(2000);
    expect(await listeningSockets(listener.address.port)).to.equal(32);
    await close(listener);
    expect(await listeningSockets(listener.address.port)).to.equal(0);
  });
});

describe('the port of a server', () => {
  it('is in use for another server, although several sockets share it', async () => {
    const listener = await open(10);
    const error = await open(10, {}, listener.address.port).then(
      () => undefined,
      (reason: NodeJS.ErrnoException) => reason,
    );
    expect(error?.code).to.equal('EADDRINUSE');
    await close(listener);
  });
});

/** The sockets that listen on a local port, as Linux counts them. */
function listeningSockets(port: number): Promise<number> {
  return socketsWith(port, 'local', '0A');
}

/** Connections to a local port whose first packet is unanswered (state SYN_SENT), as Linux lists them. */
function unconnected(port: number): Promise<number> {
  return socketsWith(port, 'remote', '02');
}

async function socketsWith(port: number, end: 'local' | 'remote', state: string): Promise<number> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').map((line) => line.trim().split(/\s+/));
  const isOf = ([, local, remote]: readonly string[]) => (end === 'local' ? local : remote)?.endsWith(suffix);
  return lines.filter((fields) => isOf(fields) && fields[3] === state).length;
}
