/**
 * Connect (JSON and binary) and gRPC-Web with connect-node. connect-node handles the protocols; request
 * messages are read and decoded by the methods, with bounds, and connect-node gets an empty one.
 */
import type { RequestListener } from 'node:http';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { createRegistry, type DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, createContextValues } from '@connectrpc/connect';
import {
  createAsyncIterable,
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { compressionBrotli, compressionGzip, connectNodeAdapter } from '@connectrpc/connect-node';
import { InferenceError } from '../../errors.js';
import { ERROR_DETAIL_TYPES } from '../../services/errors.js';
import type { AdmittedCall } from '../calls/admission.js';
import type { HttpRequest } from '../calls/admit-request.js';
import { type TimeoutHeader, withinTimers } from '../calls/call-timeout.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import { bodyFormOf, encodingHeaderOf } from '../messages/request-message.js';
import { type AdmitCallsOptions, admitCalls } from './admit-calls.js';
import { addRoute, CALLED, invalidHeader, REQUEST, requestOf } from './methods.js';

/** Node.js's default, the best, takes ten seconds of a core for an answer of 2 MB; this a fraction of one, as gzip does. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
const brotli: typeof compressionBrotli = {
  ...compressionBrotli,
  compress: async (bytes) => new Uint8Array(await promisify(brotliCompress)(bytes, QUALITY)),
};

const HTTP_OK = 200;
const UNSUPPORTED_TYPE = 415;
const UNSUPPORTED_VERSION = 505;
const STREAM_NEEDS_HTTP2 = 'A stream that both sides send needs HTTP/2, and this came over HTTP/1.1.';
const GRPC_NEEDS_HTTP2 =
  'Native gRPC needs HTTP/2, and this came over HTTP/1.1. A client or a proxy in between has to speak HTTP/2.';
const NATIVE_GRPC = /^application\/grpc(?!-web)/;
const HTTP_NOT_IMPLEMENTED = 501;
/** Flag of the gRPC-Web envelope that holds the status. */
const TRAILERS = 0x80;
const GRPC_STATUS = /grpc-status: ?(\d+)\r\n/i;
const GRPC_UNIMPLEMENTED = '12';
const UNSENDABLE = 'The answer is larger than the largest message. Request less per call.';
const TIMEOUT_HEADERS: readonly TimeoutHeader[] = ['connect-timeout-ms', 'grpc-timeout'];

export interface ConnectOptions extends AdmitCallsOptions {
  readonly maxMessageBytes: number;
  readonly decoder: MessageDecoder;
}

/** A request listener for calls, and `fallback` for the rest. */
export function createConnectListener(options: ConnectOptions): RequestListener {
  const { services, decoder } = options;
  const calls = new WeakMap<object, HttpRequest>();
  const routes = (router: ConnectRouter) => {
    for (const { methods } of services) for (const method of methods) addRoute(router, method, decoder);
    router.handlers.splice(0, Infinity, ...router.handlers.map(withoutBody));
  };
  const adapter = connectNodeAdapter({
    grpc: false,
    acceptCompression: [compressionGzip, brotli],
    routes,
    // Error details are google.protobuf.Any, which JSON can write only for known types.
    jsonOptions: { registry: createRegistry(...ERROR_DETAIL_TYPES) },
    readMaxBytes: options.maxMessageBytes,
    writeMaxBytes: options.maxMessageBytes,
    contextValues: (request) => createContextValues().set(REQUEST, calls.get(request)),
  });
  return admitCalls(options, (exchange, response) => {
    const { request } = exchange;
    calls.set(request, exchange);
    // The adapter makes a URL with it, of which only the path is used, and throws where it is absent (HTTP/1.0) or not a URL's.
    request.headers.host = 'host';
    if (request.httpVersionMajor === 2) request.headers[':authority'] = 'host';
    adapter(request, response);
  });
}

/** The handler reads no body, and its method finds the request in the context. */
function withoutBody(handler: UniversalHandler): UniversalHandler {
  const { service, method, requestPath, allowedMethods, supportedContentType, protocolNames } = handler;
  const answer = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    const own = requestOf(request.contextValues);
    const header = headersFor(request.header);
    const response = await handler({ ...request, header, body: emptyBody(own) });
    const refusal = refusalOf(method, request, response);
    if (refusal !== undefined) {
      own.call.open.finish(new InferenceError('INVALID_ARGUMENT', refusal));
      const header = new Headers(response.header);
      header.set('content-type', 'application/json');
      const body = errorToJsonBytes(new ConnectError(refusal, Code.InvalidArgument), undefined);
      return { ...response, header, body: createAsyncIterable([body]) };
    }
    const refused = (unimplemented: boolean) => {
      if (request.contextValues?.get(CALLED) === true)
        own.call.open.finish(new InferenceError('MESSAGE_TOO_LARGE', UNSENDABLE));
      else own.call.open.finish(invalidHeader(), unimplemented ? 'UNIMPLEMENTED' : 'INVALID_ARGUMENT');
    };
    if (method.methodKind === 'unary' && response.status !== HTTP_OK) refused(response.status === HTTP_NOT_IMPLEMENTED);
    // The answer of a stream begins before its request ends, and each part of it is written before the next is made.
    if (response.body === undefined || method.methodKind === 'bidi_streaming') return response;
    return { ...response, body: counted(response.body, own.call, refused) };
  };
  return Object.assign(answer, { service, method, requestPath, allowedMethods, supportedContentType, protocolNames });
}

/** Why a request has no answer of its method, which connect-node does not say; undefined if it has one. */
function refusalOf(
  { methodKind }: DescMethod,
  { header, httpVersion }: UniversalServerRequest,
  { status }: UniversalServerResponse,
): string | undefined {
  if (status === UNSUPPORTED_VERSION) return STREAM_NEEDS_HTTP2;
  if (status !== UNSUPPORTED_TYPE) return undefined;
  const type = header.get('content-type') ?? '';
  if (httpVersion.startsWith('1.') && NATIVE_GRPC.test(type)) return GRPC_NEEDS_HTTP2;
  const kind = methodKind === 'unary' ? '' : 'connect+';
  return `Expected content-type application/${kind}json, application/${kind}proto, application/grpc-web+proto or application/grpc.`;
}

/** Headers without those of the real body, and with timeouts limited to a timer's maximum. */
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

/** A body of one empty message in the form of the request's. */
function emptyBody({ request }: HttpRequest): AsyncIterable<Uint8Array> {
  const { json, enveloped } = bodyFormOf(request);
  const message = new TextEncoder().encode(json ? '{}' : '');
  return createAsyncIterable([enveloped ? encodeEnvelope(0, message) : message]);
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  call: AdmittedCall,
  refused: (unimplemented: boolean) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    // The same for gRPC-Web, where the status is last.
    const status = chunk[0] === TRAILERS ? GRPC_STATUS.exec(Buffer.from(chunk).toString('latin1'))?.[1] : '0';
    if (status !== '0') refused(status === GRPC_UNIMPLEMENTED);
    call.answer(chunk.byteLength);
    yield chunk;
  }
  // Only the size of the response can fail here.
  call.open.finish();
}
