/**
 * Requests over HTTP/1.1 that are no message. connect-node answers those by itself before a method is called: a broken
 * binary message as INTERNAL, and none with our details or in our log. Here such an answer is found and replaced by what
 * native gRPC gets. An answer of ours always has details; one without any is connect-node's own.
 */
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import {
  endStreamFlag,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { setTrailerStatus, trailerFlag, trailerParse, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import { HTTP_STATUS } from '../services/errors.js';

/** How connect-node's own words about a request that is no message begin. */
const BROKEN = [
  'parse binary: ',
  'cannot decode ',
  'decompression failed',
  'received compressed envelope',
  'protocol error: incomplete envelope',
];

/** Makes the error that a broken request is answered with; `said` is connect-node's own message. */
export type RefuseBroken = (method: DescMethod, request: UniversalServerRequest, said: string) => ConnectError;

/** How an answer that ends a call with an error is told apart, read and written. */
interface ErrorForm {
  /** The error, when the first bytes of an answer hold one. */
  read(response: UniversalServerResponse, first: Uint8Array): ConnectError | undefined;
  write(response: UniversalServerResponse, error: ConnectError): UniversalServerResponse;
}

const UNKNOWN = new ConnectError('', Code.Unknown);
const ENVELOPE_BYTES = 5;

const connectUnary: ErrorForm = {
  read: ({ status }, first) => (status === 200 ? undefined : errorFromJsonBytes(first, undefined, UNKNOWN)),
  write: ({ header }, error) => {
    const body = errorToJsonBytes(error, undefined);
    const headers = new Headers(header);
    headers.set('content-length', String(body.byteLength));
    return { status: HTTP_STATUS.INVALID_ARGUMENT, header: headers, body: once(body) };
  },
};

const connectStream: ErrorForm = {
  read: (_response, first) => {
    if (((first[0] ?? 0) & endStreamFlag) === 0) return undefined;
    return endStreamFromJson(first.subarray(ENVELOPE_BYTES)).error;
  },
  write: (response, error) => {
    const json = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
    return { ...response, body: once(encodeEnvelope(endStreamFlag, new TextEncoder().encode(json))) };
  },
};

const grpcWeb: ErrorForm = {
  read: (_response, first) => {
    if (((first[0] ?? 0) & trailerFlag) === 0) return undefined;
    return findTrailerError(trailerParse(first.subarray(ENVELOPE_BYTES)));
  },
  write: (response, error) => {
    const trailer = setTrailerStatus(new Headers(), error);
    return { ...response, body: once(encodeEnvelope(trailerFlag, trailerSerialize(trailer))) };
  },
};

/** By content type of the answer; connect-node's errors of one-message calls are JSON whatever was asked. */
const FORMS: readonly (readonly [prefix: string, form: ErrorForm])[] = [
  ['application/connect+', connectStream],
  ['application/grpc-web', grpcWeb],
  ['application/json', connectUnary],
];

/** The handler, with broken requests refused by `refuse`. */
export function refusingBroken(handler: UniversalHandler, refuse: RefuseBroken): UniversalHandler {
  const { service, method, requestPath, allowedMethods, supportedContentType, protocolNames } = handler;
  const answer = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    const response = await handler(request);
    const type = response.header?.get('content-type') ?? '';
    const form = FORMS.find(([prefix]) => type.startsWith(prefix))?.[1];
    if (form === undefined || response.body === undefined) return response;
    const rest = response.body[Symbol.asyncIterator]();
    const first = await rest.next();
    const error = first.done === true ? undefined : form.read(response, first.value);
    const broken = error?.details.length === 0 && BROKEN.some((beginning) => error.rawMessage.startsWith(beginning));
    if (!broken) return { ...response, body: resumed(first, rest) };
    await rest.return?.();
    return form.write(response, refuse(method, request, error.rawMessage));
  };
  return Object.assign(answer, { service, method, requestPath, allowedMethods, supportedContentType, protocolNames });
}

/** What was read of an iteration, and the rest of it. */
function resumed(first: IteratorResult<Uint8Array>, rest: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  let next: IteratorResult<Uint8Array> | undefined = first;
  const end = async (value?: unknown) => (await rest.return?.(value)) ?? { done: true as const, value: undefined };
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const read = next;
        next = undefined;
        return read ?? rest.next();
      },
      return: end,
      throw: async (error) => (rest.throw === undefined ? end() : rest.throw(error)),
    }),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
