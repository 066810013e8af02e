/** Writes an error as an HTTP/1.1 response in the format of the request's protocol. */
import { Code, ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { endStreamFlag, endStreamToJson, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { setTrailerStatus, trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import type { WireError } from '../../services/errors.js';
import { retryAfter } from '../calls/retry-after.js';

/** The response for a request's content type. Unknown content types get Connect's format. */
export function errorResponse(contentType: string, wire: WireError) {
  const error = toConnectError(wire);
  if (contentType.startsWith('application/grpc-web')) {
    const trailer = setTrailerStatus(new Headers(), error);
    return answer(200, contentType, encodeEnvelope(trailerFlag, trailerSerialize(trailer)));
  }
  if (contentType.startsWith('application/connect+')) {
    const json = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
    return answer(200, contentType, encodeEnvelope(endStreamFlag, new TextEncoder().encode(json)));
  }
  const { status, headers, body } = answer(wire.httpStatus, 'application/json', errorToJsonBytes(error, undefined));
  return { status, headers: { ...headers, ...retryAfter(wire) }, body };
}

function answer(status: number, contentType: string, body: Uint8Array) {
  return { status, headers: { 'content-type': contentType, 'content-length': String(body.byteLength) }, body };
}

/** The error for connect-node; undefined: the call had already finished. */
export function toConnectError(wire: WireError | undefined): ConnectError {
  if (wire === undefined) return new ConnectError('the call is over', Code.Aborted);
  return new ConnectError(wire.message, wire.grpcCode, retryAfter(wire), [...wire.details]);
}
