/** Admits or answers Connect and gRPC-Web calls before their bodies are read. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { InferenceError } from '../../errors.js';
import { toWireError } from '../../services/errors.js';
import { methodsByPath, type ServedService } from '../../services/service.js';
import { type Admission, admitRequest, type HttpRequest } from '../calls/admit-request.js';
import { pathOf } from '../calls/request-path.js';
import { ENVELOPE_BYTES } from '../messages/message-buffer.js';
import { bodyFormOf } from '../messages/request-message.js';
import { errorResponse } from './error-response.js';

export interface AdmitCallsOptions extends Admission {
  readonly services: readonly ServedService[];
  /** The request is a call with permits, or a running watch. */
  admitted(request: IncomingMessage): void;
  /** Handles paths that are not methods. */
  readonly fallback: RequestListener;
}

/** A listener that admits a call and passes it to `next`, or answers it. */
export function admitCalls(
  { services, admitted, fallback, ...admission }: AdmitCallsOptions,
  next: (exchange: HttpRequest, response: ServerResponse) => void,
): RequestListener {
  const methods = methodsByPath(services);
  return (request, response) => {
    const served = methods.get(pathOf(request).slice(1));
    if (served === undefined) return fallback(request, response);
    if (request.method !== 'POST') return refuseMethod(response);
    const contentType = request.headers['content-type'] ?? '';
    const call = admitRequest(admission, request, response, {
      path: served.path,
      protocol: contentType.startsWith('application/grpc-web') ? 'grpc-web' : 'connect',
      skipAccessLog: served.skipAccessLog,
      streaming: served.kind === 'bidi_streaming',
      envelopeBytes: bodyFormOf(request).enveloped ? ENVELOPE_BYTES : 0,
      refuse: (wire) => {
        const { status, headers, body } = errorResponse(contentType, wire);
        response.writeHead(status, { ...headers });
        response.end(body);
      },
    });
    if (call === undefined) return;
    if (!served.skipAccessLog || served.kind !== 'unary') admitted(request);
    next({ request, call }, response);
  };
}

/** Only POST is a call. */
function refuseMethod(response: ServerResponse): void {
  const { headers, body } = errorResponse('', toWireError(new InferenceError('INVALID_ARGUMENT', 'A call is a POST.')));
  response.writeHead(405, { ...headers, allow: 'POST' });
  response.end(body);
}
