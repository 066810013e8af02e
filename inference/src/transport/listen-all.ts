/** The server's single port with all its protocols. */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import { hostPort } from '@heimdex/common';
import { FatalError } from '../exit-codes.js';
import type { Models } from '../services/engine.js';
import type { TlsPort } from './auth/tls.js';
import { MAX_TIMER_MS } from './calls/call-timeout.js';
import { collectWhenIdle } from './calls/idle-collection.js';
import { createConnectListener } from './connect/connect-listener.js';
import { createGrpcServer, type GrpcOptions } from './grpc/grpc-server.js';
import { watchStreams } from './grpc/http2-server.js';
import { addReflection } from './grpc/reflection.js';
import { Connections } from './http/connections.js';
import { answerCors } from './http/cors.js';
import { Http2Requests } from './http/http2-requests.js';
import { listen, type Traffic } from './http/listener.js';
import { createPlainListener, type PlainHttpOptions } from './http/plain-http.js';
import { createOpenAiListener } from './openai/openai-listener.js';
import { createPlaygroundListener } from './playground/playground-listener.js';

export interface ListenAllOptions extends GrpcOptions {
  readonly host: string;
  readonly port: number;
  readonly plain: PlainHttpOptions;
  /** Models of the OpenAI API. Undefined: it is off. */
  readonly openAi: Models | undefined;
  /** Whether GET / is a page to try the server. */
  readonly playground: boolean;
  /** Undefined: the port is plaintext. */
  readonly tls: TlsPort | undefined;
  /** Allowed origins of web pages. */
  readonly corsOrigins: readonly string[];
  readonly maxConnections: number;
}

export interface PortListener {
  readonly address: AddressInfo;
  /** Stops accepting connections. Open ones are asked to end after their calls. */
  drain(): void;
  traffic(): Traffic;
  /** Closes all connections, those with pending responses after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with a FatalError when it cannot listen on the address. */
export async function listenAll(options: ListenAllOptions): Promise<PortListener> {
  const { admission, decoder, maxConnections } = options;
  const connections = new Connections(maxConnections);
  const native = createGrpcServer(options);
  addReflection(native, options.services);
  const http2Requests = new Http2Requests();
  const web = createWebListener(options, (request) => http2Requests.admitted(request));
  watchStreams(native, {
    began: (stream) => {
      const socket = stream.session?.socket;
      if (socket === undefined) return;
      const call = connections.begin(socket);
      stream.once('end', call.arrived).once('close', call.ended);
    },
    other: http2Requests.listener(web),
  });
  const injector = native.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = await listen({
    host: options.host,
    port: options.port,
    connections,
    maxConnections,
    tls: options.tls?.server,
    http2: (socket) => injector.injectConnection(socket),
    http1: web,
  }).catch((error: unknown) => {
    throw addressError(options, error);
  });
  const endCollection = collectWhenIdle(() => admission.heldBytes);
  let closed: Promise<void> | undefined;
  const drain = () => {
    if (closed !== undefined) return;
    closed = listener.close();
    listener.drain();
    // GOAWAY: callers make their next calls on another server. `close` ends what is left.
    injector.drain(MAX_TIMER_MS);
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
      admission.close();
      endCollection();
      await decoder.close();
      await closed;
    },
  };
}

/** All but native gRPC: CORS first, then the OpenAI API, Connect and gRPC-Web, plain GETs. */
function createWebListener(options: ListenAllOptions, admitted: (request: IncomingMessage) => void): RequestListener {
  const { corsOrigins, openAi } = options;
  const calls = createConnectListener({ ...options, admitted, fallback: createPlainListener(options.plain) });
  const api = openAi === undefined ? calls : createOpenAiListener({ ...options, models: openAi, admitted }, calls);
  const first = options.playground ? createPlaygroundListener(api) : api;
  return (request, response) => {
    // A server must take the absolute form as well (RFC 9112, section 3.2.2).
    request.url = request.url?.replace(/^https?:\/\/[^/?]*\/?/i, '/');
    // A media type has no case (RFC 9110, section 8.3.1), unlike its parameters, such as the boundary of a form.
    const { headers } = request;
    if (headers['content-type'] !== undefined)
      headers['content-type'] = headers['content-type'].replace(/^[^;]*/, (type) => type.toLowerCase());
    if (!answerCors(request, response, corsOrigins)) first(request, response);
  };
}

function addressError({ host, port }: ListenAllOptions, error: unknown): FatalError {
  const { code, message } = error as NodeJS.ErrnoException;
  const noAddress = `this machine has no address ${host}. Set HOST to one it has, or to 0.0.0.0 for all`;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is in use. Stop the process that uses it, or set PORT to another port`,
    EACCES: `port ${port} requires privileges. Set PORT to one above 1023`,
    EADDRNOTAVAIL: noAddress,
    // A machine without IPv6.
    EAFNOSUPPORT: noAddress,
    ENOTFOUND: `the name ${host} is not known. Set HOST to an address of this machine, or to 0.0.0.0 for all`,
  };
  return new FatalError('address', `Cannot listen on ${hostPort(host, port)}: ${reasons[code ?? ''] ?? message}.`, {
    cause: error,
  });
}
