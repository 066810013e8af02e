/**
 * Connect (JSON and binary) and gRPC-Web over HTTP/1.1: the same services on connect-node. It speaks the protocols; the request's
 * message is read and decoded here, bounded, and connect-node is given an empty one to work with.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import {
  create,
  createRegistry,
  type DescMessage,
  type DescMethod,
  type Message,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from '@connectrpc/connect';
import {
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { InferenceError } from '../../errors.js';
import { ERROR_DETAIL_TYPES } from '../../services/errors.js';
import type { ServedMethod, ServedService } from '../../services/service.js';
import type { AdmittedCall } from '../calls/admission.js';
import type { HttpRequest } from '../calls/admit-request.js';
import { type TimeoutHeader, withinTimers } from '../calls/call-timeout.js';
import type { OpenCall } from '../calls/call-tracker.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import { bodyFormOf, encodingHeaderOf, readMessage } from '../messages/request-message.js';
import { toConnectError } from './error-response.js';

const REQUEST = createContextKey<HttpRequest | undefined>(undefined, { description: 'the request and its call' });
const MESSAGE = createContextKey<MessageShape<DescMessage> | undefined>(undefined, { description: 'its message' });
const HTTP_OK = 200;
/** Begins the envelope of gRPC-Web that holds the status. */
const TRAILERS = 0x80;
const GOOD_STATUS = /grpc-status: ?0\r\n/i;
const TIMEOUT_HEADERS: readonly TimeoutHeader[] = ['connect-timeout-ms', 'grpc-timeout'];

export interface ConnectOptions {
  readonly services: readonly ServedService[];
  readonly maxMessageBytes: number;
  readonly decoder: MessageDecoder;
  /** The call of a request that was let in. */
  callOf(request: IncomingMessage): HttpRequest | undefined;
  /** Gets what is no method's path. */
  readonly fallback: RequestListener;
}

/** A request listener for calls that were let in, and `fallback` for the rest. */
export function createConnectListener(options: ConnectOptions): RequestListener {
  const { services, decoder, callOf, fallback } = options;
  const routes = (router: ConnectRouter) => {
    for (const { methods } of services) for (const method of methods) addRoute(router, method);
    router.handlers.splice(0, Infinity, ...router.handlers.map((handler) => readingMessages(handler, decoder)));
  };
  const adapter = connectNodeAdapter({
    grpc: false,
    routes,
    // The details of an item's error are google.protobuf.Any, which JSON can write only where it knows the type.
    jsonOptions: { registry: createRegistry(...ERROR_DETAIL_TYPES) },
    readMaxBytes: options.maxMessageBytes,
    writeMaxBytes: options.maxMessageBytes,
    contextValues: (request) => createContextValues().set(REQUEST, callOf(request as IncomingMessage)),
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

/** The handler, which reads no body: it gets an empty message, and its implementation finds the true one in the context. */
function readingMessages(handler: UniversalHandler, decoder: MessageDecoder): UniversalHandler {
  const { service, method, requestPath, allowedMethods, supportedContentType, protocolNames } = handler;
  const answer = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    const own = request.contextValues?.get(REQUEST);
    if (own === undefined) return handler(request);
    const header = headersFor(request.header);
    const response = await handler({ ...request, header, body: standIn(own, method, request, decoder) });
    // Of a call whose method has answered this says that its answer could not be sent: written out it is too large.
    if (method.methodKind === 'unary' && response.status !== HTTP_OK) own.call.open.finish(unsendable());
    return response.body === undefined ? response : { ...response, body: counted(response.body, own.call) };
  };
  return Object.assign(answer, { service, method, requestPath, allowedMethods, supportedContentType, protocolNames });
}

/** Without what tells of the true body, and no timeout longer than a timer. */
function headersFor(given: Headers): Headers {
  const header = new Headers(given);
  const encodingHeader = encodingHeaderOf(header.get('content-type') ?? '');
  const known = bodyFormOf({ headers: Object.fromEntries(header) }).encoding !== undefined;
  if (known) header.delete(encodingHeader);
  header.delete('content-length');
  for (const name of TIMEOUT_HEADERS) {
    const value = header.get(name);
    if (value !== null) header.set(name, withinTimers(name, value));
  }
  return header;
}

/** Reads the message when connect-node asks for the body; what is wrong with it goes out as connect-node's own errors do. */
async function* standIn(
  own: HttpRequest,
  { input }: DescMethod,
  { contextValues }: UniversalServerRequest,
  decoder: MessageDecoder,
): AsyncGenerator<Uint8Array> {
  const { json, enveloped } = bodyFormOf(own.request);
  try {
    contextValues?.set(MESSAGE, await readMessage(own, input, decoder));
  } catch (error) {
    throw toConnectError(own.call.open.finish(error));
  }
  const empty = new TextEncoder().encode(json ? '{}' : '');
  yield enveloped ? encodeEnvelope(0, empty) : empty;
}

async function* counted(body: AsyncIterable<Uint8Array>, call: AdmittedCall): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    // The same over gRPC-Web, where the status comes last.
    if (chunk[0] === TRAILERS && !GOOD_STATUS.test(Buffer.from(chunk).toString('latin1'))) {
      call.open.finish(unsendable());
    }
    call.answer(chunk.byteLength);
    yield chunk;
  }
  // Nothing but the answer's own size was left to go wrong.
  call.open.finish();
}

function unsendable(): InferenceError {
  return new InferenceError('MESSAGE_TOO_LARGE', 'The answer is larger than the largest message. Ask for less a call.');
}

function addRoute(router: ConnectRouter, served: ServedMethod): void {
  // The router's type of an implementation follows from one method's own descriptor, which is forgotten here.
  router.rpc(served.method, implementation(served) as MethodImpl<DescMethod>);
}

function implementation(served: ServedMethod): unknown {
  switch (served.kind) {
    case 'unary':
      return async (_empty: Message, context: HandlerContext) => {
        const { open, message } = callIn(context);
        try {
          open.call.signal.throwIfAborted();
          // It is finished where its answer is written out.
          return create(served.method.output, await served.run(message, open.call));
        } catch (error) {
          throw toConnectError(open.finish(error));
        }
      };
    case 'server_streaming':
      return (_empty: Message, context: HandlerContext) => {
        const { open, message } = callIn(context);
        return stream(served, open, () => served.run(message, open.call));
      };
    case 'bidi_streaming':
      // connect-node answers these itself: there are none over HTTP/1.1.
      return () => none();
  }
}

/** Throws for a call that was not let in: a defect of ours. */
function callIn({ values }: HandlerContext): { readonly open: OpenCall; readonly message: MessageShape<DescMessage> } {
  const own = values.get(REQUEST);
  const message = values.get(MESSAGE);
  if (own === undefined || message === undefined) throw new Error('a method was called without its message');
  return { open: own.call.open, message };
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

async function* none() {}
