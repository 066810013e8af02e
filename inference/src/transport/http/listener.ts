/** One port for all protocols: a connection that begins with HTTP/2's preface is HTTP/2, any other HTTP/1.1. */
import http from 'node:http';
import net from 'node:net';
import type tls from 'node:tls';
import { KIB } from '@heimdex/common';
import { IdleTimer } from '../../process/idle-timer.js';
import { REQUEST_TIMEOUT_MS, UNREAD_MS } from '../calls/admission.js';
import type { Connections } from './connections.js';
import { listenTogether } from './listen-together.js';

/** The HTTP/2 client preface (RFC 9113, section 3.4). */
const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Timeouts of a connection. */
export interface ConnectionTimeouts {
  /** Until its first bytes show the protocol. */
  readonly firstBytesMs: number;
  /** Until a request's headers are complete, from its first byte. */
  readonly headersMs: number;
  /** Until a request is complete, from its first byte. */
  readonly requestMs: number;
  /** Between requests. */
  readonly idleMs: number;
  /** Without reading any of a pending response. */
  readonly unreadMs: number;
  /** Interval of the checks of headers and requests. */
  readonly lookEveryMs: number;
}

const TIMEOUTS: ConnectionTimeouts = {
  firstBytesMs: 10_000,
  headersMs: 15_000,
  requestMs: REQUEST_TIMEOUT_MS,
  // Longer than proxies keep one (60 to 120 s): a call that they send on a connection just being closed fails, and a POST is not sent again.
  idleMs: 150_000,
  unreadMs: UNREAD_MS,
  lookEveryMs: 5000,
};
/**
 * Unanswered requests of a connection. Node.js reads on until it has parsed what it received at once, 64 KiB: two thousand requests for
 * the metrics, which blocked the server for a second, and whose answers, 25 KiB each, waited in memory behind one that takes long.
 */
const MAX_PIPELINED = 32;
/** How long a caller that was answered early may continue sending. */
const LINGER_MS = 5000;
/** Above the limit, for connections accepted from the system's queue but not yet checked. */
const SPARE_CONNECTIONS = 64;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly connections: Connections;
  readonly maxConnections: number;
  readonly timeouts?: ConnectionTimeouts;
  /** The server to use when the port has TLS; its sockets are the decrypted ones. */
  readonly tls: tls.Server | undefined;
  /** Takes over an HTTP/2 connection whose first bytes are still unread. */
  http2(socket: net.Socket): void;
  readonly http1: http.RequestListener;
}

export interface Listener {
  readonly address: net.AddressInfo;
  /** Stops accepting connections; resolves when all are closed, which `destroy` forces. */
  close(): Promise<void>;
  /** Closes idle HTTP/1.1 connections; asks the others to close after their response. */
  drain(): void;
  destroy(): void;
  traffic(): Traffic;
}

/** Since the start, all connections. */
export interface Traffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly connections: number;
}

/** Errors of invalid requests by Node.js's code; others are a bad request. */
const STATUSES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** Rejects with Node's error when it cannot listen on the address. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const sockets = new Set<net.Socket>();
  const closed = { receivedBytes: 0, sentBytes: 0 };
  const { connections, timeouts = TIMEOUTS } = options;
  const { web, drain } = createWebServer(options.http1, connections, timeouts);
  const server = options.tls ?? net.createServer({ noDelay: true, keepAlive: true });
  server.on('connection', (socket: net.Socket) => {
    if (!connections.add(socket)) return;
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      closed.receivedBytes += socket.bytesRead;
      closed.sentBytes += socket.bytesWritten;
    });
    // Errors of a connection belong to its owner; before and after that they are ignored.
    socket.on('error', () => {});
  });
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: net.Socket) => {
    socket.on('error', () => {});
    route(socket, timeouts.firstBytesMs, options.http2, (accepted) => web.emit('connection', accepted));
  });
  server.maxConnections = options.maxConnections + SPARE_CONNECTIONS;
  // As long as the system allows: connections that do not fit into its queue are retried only after seconds.
  const address = { host: options.host, port: options.port, backlog: options.maxConnections };
  const listening = await listenTogether(server, address);
  return {
    address: listening.address,
    close: () => {
      web.close();
      return listening.close();
    },
    drain,
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

function createWebServer(
  listener: http.RequestListener,
  connections: Connections,
  timeouts: ConnectionTimeouts,
): { readonly web: http.Server; drain(): void } {
  const web = http.createServer({
    maxHeaderSize: 32 * KIB,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.idleMs,
    connectionsCheckingInterval: timeouts.lookEveryMs,
  });
  const responses = new OpenResponses();
  const unfinished = new Set<http.ServerResponse>();
  let draining = false;
  const answer: http.RequestListener = (request, response) => {
    const { socket } = request;
    const open = responses.of(socket);
    if (open.size >= MAX_PIPELINED) socket.destroy();
    // Node.js also reports the requests that follow in the same bytes, or behind the last answer.
    if (socket.destroyed || socket.writableEnded) return;
    open.add(response);
    unfinished.add(response);
    if (draining) closeAfter(response);
    const call = connections.begin(socket);
    request.once('end', call.arrived);
    response.prependOnceListener('finish', () => linger(request));
    response.once('close', call.ended).once('close', () => {
      open.delete(response);
      unfinished.delete(response);
      // Its headers may have been sent before.
      if (draining) web.closeIdleConnections();
    });
    // Node.js takes the first of several; a proxy may have taken another (RFC 9112, section 3.2).
    if ((request.headersDistinct.host?.length ?? 0) > 1)
      response.writeHead(400, { connection: 'close', 'content-length': 0 }).end();
    else listener(request, response);
  };
  web.on('request', answer);
  // A client that waits before sending a large body is answered when its call is admitted.
  web.on('checkContinue', answer);
  web.maxRequestsPerSocket = 10_000;
  // Between requests, or when the response is not read. A call in progress may take long.
  web.setTimeout(timeouts.unreadMs, (socket) => {
    if (socket.writableLength > 0 || !connections.busy(socket)) socket.destroy();
  });
  web.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const status = STATUSES[error.code ?? ''] ?? '400 Bad Request';
    // Inside a response that has begun it would be part of its content, and before one that has not, the answer to that request.
    const [first, ...others] = responses.of(socket as net.Socket);
    const isOfFirst = first === undefined || !(first.headersSent || first.req.complete);
    if (socket.writable && isOfFirst && others.length === 0)
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    else socket.destroy();
  });
  // It never listens itself, and node:http starts its timeout checks when a server listens.
  web.emit('listening');
  return {
    web,
    drain: () => {
      draining = true;
      web.closeIdleConnections();
      // The last one of each connection: those before it are answered as well.
      for (const last of new Map([...unfinished].map((one) => [one.req.socket, one])).values()) closeAfter(last);
    },
  };
}

/**
 * A caller that is answered before its request is complete gets time to send the rest, which Node.js discards: a connection that is closed
 * before is reset, and the caller may lose the answer. After a last answer (HTTP/1.0, connection: close) Node.js calls `destroySoon`.
 */
function linger(request: http.IncomingMessage): void {
  if (request.complete) return;
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.destroySoon = () => socket.end();
  request
    .once('end', () => {
      Reflect.deleteProperty(socket, 'destroySoon');
      if (socket.writableEnded) socket.destroySoon();
    })
    .once('close', () => clearTimeout(timer));
}

/** Tells the caller that the connection ends with this response. */
function closeAfter(response: http.ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

/**
 * The unfinished responses of each connection. When it ends, Node.js closes only the response in turn: those of pipelined requests behind it
 * would never close, and their calls would run on and hold their memory for ever.
 */
class OpenResponses {
  readonly #bySocket = new WeakMap<net.Socket, Set<http.ServerResponse>>();

  of(socket: net.Socket): Set<http.ServerResponse> {
    const known = this.#bySocket.get(socket);
    if (known !== undefined) return known;
    const open = new Set<http.ServerResponse>();
    this.#bySocket.set(socket, open);
    socket.once('close', () => {
      for (const response of open) if (response.socket === null) response.emit('close');
    });
    return open;
  }
}

/** Peeks at the first bytes and puts them back. */
function route(
  socket: net.Socket,
  timeoutMs: number,
  http2: (socket: net.Socket) => void,
  http1: (socket: net.Socket) => void,
): void {
  let seen = Buffer.alloc(0);
  const timer = new IdleTimer(timeoutMs, () => socket.destroy());
  const look = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = Buffer.concat([seen, chunk]);
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
    timer.clear();
    socket.off('readable', look);
    socket.off('close', forget);
  };
  socket.on('readable', look);
  socket.on('close', forget);
}
