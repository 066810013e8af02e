/** One port for everything: a connection that begins with HTTP/2's preface is native gRPC, any other HTTP/1.1. */
import http from 'node:http';
import net from 'node:net';
import type tls from 'node:tls';
import { REQUEST_TIMEOUT_MS } from './guard.js';

/** What an HTTP/2 client says first (RFC 9113, section 3.4). */
const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A client that connects and says nothing, or not enough, is let go. */
const FIRST_BYTES_TIMEOUT_MS = 10_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  /** The server to listen with when the port speaks TLS; its sockets are the decrypted ones. */
  readonly tls: tls.Server | undefined;
  /** Takes an HTTP/2 connection whose first bytes are still to be read. */
  http2(socket: net.Socket): void;
  readonly http1: http.RequestListener;
}

export interface Listener {
  readonly address: net.AddressInfo;
  /** No new connections; resolves when there are no old ones, which `destroy` brings about. */
  close(): Promise<void>;
  /** Ends idle HTTP/1.1 connections, and tells the others to end after their answer. */
  drain(): void;
  destroy(): void;
  traffic(): Traffic;
}

/** Since the start, all connections together. */
export interface Traffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly connections: number;
}

/** Rejects when the address cannot be listened on, with Node's own error. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const sockets = new Set<net.Socket>();
  const closed = { receivedBytes: 0, sentBytes: 0 };
  const web = createWebServer(options.http1);
  const server = options.tls ?? net.createServer({ noDelay: true, keepAlive: true });
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      closed.receivedBytes += socket.bytesRead;
      closed.sentBytes += socket.bytesWritten;
    });
    // Errors of a connection are its owner's; before it has one, and after, there is nothing to be done.
    socket.on('error', () => {});
  });
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: net.Socket) => {
    socket.on('error', () => {});
    route(socket, options.http2, (accepted) => web.emit('connection', accepted));
  });
  server.maxConnections = options.maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    address: server.address() as net.AddressInfo,
    close: () => new Promise((resolve) => server.close(() => resolve())),
    drain: () => web.closeIdleConnections(),
    destroy: () => {
      for (const socket of sockets) socket.destroy();
    },
    traffic: () => {
      const open = [...sockets];
      return {
        receivedBytes: open.reduce((sum, { bytesRead }) => sum + bytesRead, closed.receivedBytes),
        sentBytes: open.reduce((sum, { bytesWritten }) => sum + bytesWritten, closed.sentBytes),
        connections: open.length,
      };
    },
  };
}

function createWebServer(listener: http.RequestListener): http.Server {
  const web = http.createServer(
    {
      maxHeaderSize: 32 * 1024,
      headersTimeout: 15_000,
      // 64 MiB in two minutes is 4 Mbit/s.
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: 30_000,
      connectionsCheckingInterval: 5_000,
    },
    listener,
  );
  web.maxRequestsPerSocket = 10_000;
  web.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });
  return web;
}

/** Looks at the first bytes and puts them back. */
function route(socket: net.Socket, http2: (socket: net.Socket) => void, http1: (socket: net.Socket) => void): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_TIMEOUT_MS);
  const look = () => {
    for (let piece = socket.read(); piece !== null; piece = socket.read()) {
      seen = Buffer.concat([seen, piece]);
      const compared = Math.min(seen.length, HTTP2_PREFACE.length);
      const matches = seen.compare(HTTP2_PREFACE, 0, compared, 0, compared) === 0;
      if (matches && seen.length < HTTP2_PREFACE.length) continue;
      forget();
      socket.unshift(seen);
      if (matches) http2(socket);
      else http1(socket);
      return;
    }
  };
  const forget = () => {
    clearTimeout(timer);
    socket.off('readable', look);
    socket.off('close', forget);
  };
  socket.on('readable', look);
  socket.on('close', forget);
}
