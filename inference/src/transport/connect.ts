/** Connect (JSON and binary) and gRPC-Web over HTTP/1.1: the same services on connect-node. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { create, createRegistry, type DescMethod, type Message } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from '@connectrpc/connect';
import type { UniversalServerRequest } from '@connectrpc/connect/protocol';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { InferenceError } from '../errors.js';
import { ERROR_DETAIL_TYPES, type WireError } from '../services/errors.js';
import type { ServedMethod, ServedService } from '../services/service.js';
import { refusingBroken } from './broken-requests.js';
import { type CallDesk, type OpenCall, type Protocol, protocolOf } from './desk.js';

const PEER = createContextKey('unknown', { description: 'address of the caller' });

export interface ConnectLimits {
  readonly maxMessageBytes: number;
}

/** A request listener for what is no plain GET; `fallback` gets the rest. */
export function createConnectListener(
  services: readonly ServedService[],
  desk: CallDesk,
  limits: ConnectLimits,
  fallback: RequestListener,
): RequestListener {
  const routes = (router: ConnectRouter) => {
    for (const { methods, quiet } of services) for (const method of methods) addRoute(router, method, quiet, desk);
    const refuse = (method: DescMethod, request: UniversalServerRequest, said: string) =>
      refuseBroken(desk, method, request, said);
    router.handlers.splice(0, Infinity, ...router.handlers.map((handler) => refusingBroken(handler, refuse)));
  };
  const adapter = connectNodeAdapter({
    grpc: false,
    routes,
    // A misspelt field or word would otherwise be passed over, and its default used.
    // The details of an item's error are google.protobuf.Any, which JSON can write only where it knows the type.
    jsonOptions: { ignoreUnknownFields: false, registry: createRegistry(...ERROR_DETAIL_TYPES) },
    readMaxBytes: limits.maxMessageBytes,
    writeMaxBytes: limits.maxMessageBytes,
    contextValues: ({ socket }) => createContextValues().set(PEER, `${socket.remoteAddress}:${socket.remotePort}`),
    fallback: (request, response) => fallback(request as IncomingMessage, response as ServerResponse),
  });
  return (request, response) => {
    try {
      adapter(request, response);
    } catch {
      // The adapter throws for a request without a Host header, such as one of HTTP/1.0.
      if (!response.headersSent) response.writeHead(400);
      response.end();
    }
  };
}

function addRoute(router: ConnectRouter, served: ServedMethod, quiet: boolean, desk: CallDesk): void {
  const begin = (context: HandlerContext): OpenCall => {
    const open = desk.open({
      path: served.path,
      protocol: context.protocolName as Protocol,
      peer: context.values.get(PEER),
      timeoutMs: context.timeoutMs() ?? Number.POSITIVE_INFINITY,
      quiet,
      header: (name) => context.requestHeader.get(name) ?? undefined,
    });
    // The signal fires at a normal end as well; by then the call is finished and nothing happens.
    context.signal.addEventListener(
      'abort',
      () => {
        const { reason } = context.signal;
        if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) open.expire();
        else open.cancel();
      },
      { once: true },
    );
    return open;
  };
  // The router's type of an implementation follows from one method's own descriptor, which is forgotten here.
  router.rpc(served.method, implementation(served, begin) as MethodImpl<DescMethod>);
}

function implementation(served: ServedMethod, begin: (context: HandlerContext) => OpenCall): unknown {
  switch (served.kind) {
    case 'unary':
      return async (request: Message, context: HandlerContext) => {
        const open = begin(context);
        try {
          open.call.signal.throwIfAborted();
          const response = create(served.method.output, await served.run(request, open.call));
          open.finish();
          return response;
        } catch (error) {
          throw toConnectError(open.finish(error));
        }
      };
    case 'server_streaming':
      return (request: Message, context: HandlerContext) => {
        const open = begin(context);
        return stream(served, open, () => served.run(request, open.call));
      };
    case 'bidi_streaming':
      return (requests: AsyncIterable<Message>, context: HandlerContext) => {
        const open = begin(context);
        return stream(served, open, () => served.run(requests, open.call));
      };
  }
}

async function* stream(served: ServedMethod, open: OpenCall, run: () => AsyncIterable<Parameters<typeof create>[1]>) {
  try {
    open.call.signal.throwIfAborted();
    for await (const response of run()) {
      yield create(served.method.output, response);
      open.call.signal.throwIfAborted();
    }
    open.finish();
  } catch (error) {
    throw toConnectError(open.finish(error));
  } finally {
    // Left early: the caller is gone.
    open.cancel();
    open.finish(open.call.signal.reason);
  }
}

/** A call that ended before it began: counted and logged as any other. */
function refuseBroken(
  desk: CallDesk,
  { input, name, parent }: DescMethod,
  { header, contextValues }: UniversalServerRequest,
  said: string,
): ConnectError {
  const arrival = {
    path: `${parent.typeName}/${name}`,
    protocol: protocolOf(header.get('content-type')),
    peer: contextValues?.get(PEER) ?? 'unknown',
    header: (wanted: string) => header.get(wanted) ?? undefined,
  };
  const error = new InferenceError('INVALID_ARGUMENT', `The request is no ${input.typeName}: ${said}.`);
  return toConnectError(desk.refuse(arrival, error));
}

function toConnectError(wire: WireError | undefined): ConnectError {
  if (wire === undefined) return new ConnectError('the call is over');
  return new ConnectError(wire.message, wire.grpcCode, undefined, [...wire.details]);
}
