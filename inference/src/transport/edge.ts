/** The server's one port and everything that is spoken on it. */
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import grpc from '@grpc/grpc-js';
import { FatalError } from '../exit-codes.js';
import type { WireError } from '../services/errors.js';
import type { ServedService } from '../services/service.js';
import { createConnectListener } from './connect.js';
import { answerCors } from './cors.js';
import { type CallDesk, protocolOf } from './desk.js';
import type { Gate } from './gate.js';
import { createGrpcServer } from './grpc.js';
import { createPlainListener, type PlainHttpOptions } from './http.js';
import { listen, type Traffic } from './listener.js';
import { addReflection } from './reflection.js';
import type { TlsPort } from './tls.js';

/** Of one connection. */
const MAX_CONCURRENT_STREAMS = 1000;
const MAX_CONNECTIONS = 4096;

export interface EdgeOptions {
  readonly host: string;
  readonly port: number;
  readonly maxMessageBytes: number;
  readonly services: readonly ServedService[];
  readonly desk: CallDesk;
  readonly plain: PlainHttpOptions;
  readonly gate: Gate;
  /** Undefined: the port speaks plain text. */
  readonly tls: TlsPort | undefined;
  /** Origins of web pages that may call. */
  readonly corsOrigins: readonly string[];
  readonly streamIdleMs: number;
  /** 0: connections may grow old. */
  readonly maxConnectionAgeMs: number;
}

export interface Edge {
  readonly address: AddressInfo;
  /** No new connections from now on; the open ones are told to end after their calls. */
  drain(): void;
  traffic(): Traffic;
  /** Ends all connections, after `graceMs` those with answers under way. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with a FatalError when the address cannot be listened on. */
export async function openEdge(options: EdgeOptions): Promise<Edge> {
  const { services, desk, maxMessageBytes } = options;
  const native = createGrpcServer(services, desk, options.gate, {
    maxMessageBytes,
    maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
    maxConnectionAgeMs: options.maxConnectionAgeMs,
    streamIdleMs: options.streamIdleMs,
  });
  addReflection(native, services);
  const injector = native.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = await listen({
    host: options.host,
    port: options.port,
    maxConnections: MAX_CONNECTIONS,
    tls: options.tls?.server,
    http2: (socket) => injector.injectConnection(socket),
    http1: createWebListener(options),
  }).catch((error: unknown) => {
    throw addressError(options, error);
  });
  let closed: Promise<void> | undefined;
  const drain = () => {
    closed ??= listener.close();
    listener.drain();
  };
  return {
    address: listener.address,
    drain,
    traffic: () => listener.traffic(),
    async close(graceMs) {
      drain();
      injector.drain(graceMs);
      await Promise.race([closed, sleep(graceMs)]);
      listener.destroy();
      native.forceShutdown();
      options.tls?.files.close();
      await closed;
    },
  };
}

/** HTTP/1.1: cross-origin rules first, then the gate, then Connect and gRPC-Web, then plain GETs. */
function createWebListener(options: EdgeOptions): RequestListener {
  const { services, desk, gate, corsOrigins, maxMessageBytes } = options;
  const connect = createConnectListener(services, desk, { maxMessageBytes }, createPlainListener(options.plain));
  const paths = new Set(services.flatMap(({ methods }) => methods.map(({ path }) => `/${path}`)));
  return (request, response) => {
    if (answerCors(request, response, corsOrigins)) return;
    const path = request.url?.split('?', 1)[0] ?? '';
    const refusal = paths.has(path) ? gate.refuse(path.slice(1), request.headers.authorization) : undefined;
    if (refusal === undefined) return connect(request, response);
    const { headers, socket } = request;
    const arrival = {
      path: path.slice(1),
      protocol: protocolOf(headers['content-type']),
      peer: `${socket.remoteAddress}:${socket.remotePort}`,
      header: (name: string) => headers[name]?.toString(),
    };
    sendRefusal(response, desk.refuse(arrival, refusal));
  };
}

/** Before the body is read, so the connection ends with it. The shape is Connect's; gRPC-Web goes by the HTTP status. */
function sendRefusal(response: ServerResponse, wire: WireError): void {
  const body = JSON.stringify({ code: wire.status.toLowerCase(), message: wire.message });
  response.writeHead(wire.httpStatus, { 'content-type': 'application/json', connection: 'close' });
  response.end(body);
}

function addressError({ host, port }: EdgeOptions, error: unknown): FatalError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is in use. End the program that has it, or set PORT to another port`,
    EACCES: `port ${port} needs more rights. Set PORT to one above 1023`,
    EADDRNOTAVAIL: `this machine has no address ${host}. Set HOST to one it has, or to 0.0.0.0 for all`,
    ENOTFOUND: `the name ${host} is not known. Set HOST to an address of this machine, or to 0.0.0.0 for all`,
  };
  return new FatalError('address', `Cannot listen on ${host}:${port}: ${reasons[code ?? ''] ?? message}.`, {
    cause: error,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
