import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { expect } from 'chai';
import { peerOf } from '../../src/transport/calls/peer.js';
import { closed, closeListeners, connect, GET, LAST, open, said, waitFor } from '../support/listener.js';
import { rejectionOf } from '../support/rejection.js';

describe('connections', () => {
  afterEach(closeListeners);

  it('of one byte each keep nobody out, however many they are', async () => {
    const listener = await open(20);
    const strangers: net.Socket[] = [];
    for (let index = 0; index < 60; index += 1)
      strangers.push(await connect(listener, index % 2 === 0 ? 'G' : 'PRI *'));
    expect(await said(await connect(listener, LAST))).to.match(/hello/);
    // One address may have half of the connections.
    await waitFor(() => listener.traffic().connections <= 10);
    for (const socket of strangers) socket.destroy();
  });

  it('that are reset before they are accepted leave the limit as it is', async function () {
    // Others have only one address of their own.
    if (process.platform !== 'linux') return this.skip();
    const listener = await open(4);
    const { port } = listener.address;
    const reset = `const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.resetAndDestroy())`;
    // This process accepts nothing until the other one has ended.
    execFileSync(process.execPath, ['-e', `for (let count = 0; count < 5; count += 1) { ${reset} }`]);
    const later: net.Socket[] = [];
    for (let index = 2; index < 8; index += 1) later.push(await connect(listener, 'G', `127.0.0.${index}`));
    expect(await said(await connect(listener, LAST))).to.match(/hello/);
    await waitFor(() => listener.traffic().connections <= 4);
    for (const socket of later) socket.destroy();
  });

  it('with work in progress are not ended for others, and are counted', async () => {
    const listener = await open(8);
    const busy = await Promise.all([1, 2, 3, 4].map(() => connect(listener, GET.replace('/ ', '/wait '))));
    await Promise.all(busy.map((socket) => once(socket, 'data')));
    const refused = await connect(listener, LAST);
    expect(await said(refused)).to.equal('');
    expect(busy.map(({ destroyed }) => destroyed)).to.deep.equal([false, false, false, false]);
    busy[0]?.destroy();
    await waitFor(() => listener.traffic().connections === 3);
    expect(await said(await connect(listener, LAST))).to.match(/hello/);
    for (const socket of busy) socket.destroy();
  });

  it('of an address that has work on all it may have end none of another', async function () {
    if (process.platform !== 'linux') return this.skip();
    const listener = await open(4);
    const idle = await Promise.all([1, 2].map(() => connect(listener, GET, '127.0.0.2')));
    const busy = await Promise.all([1, 2].map(() => connect(listener, GET.replace('/ ', '/wait '))));
    await Promise.all([...idle, ...busy].map((socket) => once(socket, 'data')));
    expect(await said(await connect(listener, LAST))).to.equal('');
    expect(listener.traffic().connections).to.equal(4);
    for (const socket of [...idle, ...busy]) socket.destroy();
  });

  it('that never sent a complete request are closed before idle ones', async () => {
    const listener = await open(8);
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

describe('connections that arrive faster than they are accepted', () => {
  afterEach(closeListeners);

  it('wait in a queue as long as the connection limit, and none is refused by the system', async function () {
    if (process.platform !== 'linux') return this.skip();
    const listener = await open(2000);
    // In one turn of the event loop, so that the server accepts none of them; more than Node's default queue of 511.
    const sockets = Array.from({ length: 900 }, () => net.connect(listener.address.port, '127.0.0.1'));
    const waiting = await unconnected(listener.address.port);
    expect(waiting).to.equal(0);
    for (const socket of sockets) socket.on('error', () => {}).destroy();
  });

  it('are accepted through several sockets of the same port, if Node.js supports it', async function () {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    if (process.platform !== 'linux' || major < 22 || (major === 22 && minor < 12)) return this.skip();
    const listener = await open(2000);
    expect(await listeningSockets(listener.address.port)).to.equal(32);
    await closeListeners();
    expect(await listeningSockets(listener.address.port)).to.equal(0);
  });
});

describe('the port of a server', () => {
  afterEach(closeListeners);

  it('is in use for another server, although several sockets share it', async () => {
    const listener = await open(10);
    const error = await rejectionOf(open(10, {}, listener.address.port), Error);
    expect(error).to.include({ code: 'EADDRINUSE' });
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
