import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
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

const opened: Listener[] = [];

/** A listener that answers everything at once, except requests to /wait and /silent, which it leaves open. */
export async function open(max: number, timeouts: Partial<ConnectionTimeouts> = {}, port = 0): Promise<Listener> {
  const h2 = http2.createServer();
  h2.on('sessionError', () => {});
  const listener = await listen({
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
  opened.push(listener);
  return listener;
}

/** Closes what a test opened. */
export async function closeListeners(): Promise<void> {
  for (const listener of opened.splice(0)) {
    const closed = listener.close();
    listener.destroy();
    await closed;
  }
}

export async function connect({ address: { port } }: Listener, text = '', localAddress?: string): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) });
  socket.on('error', () => {});
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

/** However it ends: a server that has not read everything resets the connection. */
export function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** What the server says on a connection until it ends it. */
export async function said(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await closed(socket);
  return Buffer.concat(chunks).toString();
}

export const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
export const LAST = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

export async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
