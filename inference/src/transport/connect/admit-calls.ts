/** Calls over HTTP/1.1 before their bodies are read: let in, or answered at once. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { InferenceError } from '../../errors.js';
import type { ServedMethod, ServedService } from '../../services/service.js';
import type { AdmittedCall, CallAdmission } from '../calls/admission.js';
import { type TimeoutHeader, timeoutMsOf } from '../calls/call-timeout.js';
import { type Arrival, type CallTracker, protocolOf } from '../calls/call-tracker.js';
import { errorResponse } from './error-response.js';
import { bodyFormOf, type HttpRequest } from './request-message.js';

/** A caller that is answered before it has sent everything may go on for this long: cut off at once it might not read the answer. */
const LINGER_MS = 5000;
const ENVELOPE_BYTES = 5;

export interface HttpCalls {
  /** Lets a request in and gives it to `next`, or answers it. What is no method's path goes to `next` as it is. */
  listener(next: RequestListener): RequestListener;
  /** The call of a request that was let in. */
  callOf(request: IncomingMessage): HttpRequest | undefined;
}

export function httpCalls(
  services: readonly ServedService[],
  admission: CallAdmission,
  callTracker: CallTracker,
): HttpCalls {
  const methods = new Map<string, { readonly method: ServedMethod; readonly skipAccessLog: boolean }>(
    services.flatMap(({ methods, skipAccessLog }) =>
      methods.map((method) => [`/${method.path}`, { method, skipAccessLog }] as const),
    ),
  );
  const calls = new WeakMap<IncomingMessage, HttpRequest>();
  return {
    callOf: (request) => calls.get(request),
    listener: (next) => (request, response) => {
      // What is no POST is no call: connect-node says so.
      const served = request.method === 'POST' ? methods.get(request.url?.split('?', 1)[0] ?? '') : undefined;
      if (served === undefined) return next(request, response);
      response.once('finish', () => linger(request));
      const arrival = arrivalOf(request, served.method, served.skipAccessLog);
      let call: AdmittedCall | undefined;
      try {
        call = admission.admit(arrival, { streaming: false });
        announce(request, call);
      } catch (error) {
        call?.close();
        const refusal = error as InferenceError;
        const wire = call === undefined ? callTracker.refuse(arrival, refusal) : call.open.finish(refusal);
        if (wire === undefined) return;
        const { status, headers, body } = errorResponse(request.headers['content-type'] ?? '', wire);
        response.writeHead(status, { ...headers });
        response.end(body);
        return;
      }
      endWith(response, call);
      calls.set(request, { request, call });
      if (request.headers.expect !== undefined) response.writeContinue();
      next(request, response);
    },
  };
}

function arrivalOf(request: IncomingMessage, { path }: ServedMethod, skipAccessLog: boolean): Arrival {
  const { headers, socket } = request;
  const protocol = protocolOf(headers['content-type']);
  const timeoutHeader: TimeoutHeader = protocol === 'grpc-web' ? 'grpc-timeout' : 'connect-timeout-ms';
  const header = (name: string) => headers[name]?.toString();
  return {
    path,
    protocol,
    // Of a connection that is gone already the address is not known any more.
    peer: socket.remoteAddress === undefined ? 'unknown' : `${socket.remoteAddress}:${socket.remotePort}`,
    timeoutMs: timeoutMsOf(timeoutHeader, header(timeoutHeader)),
    skipAccessLog,
    header,
  };
}

function announce(request: IncomingMessage, { body }: AdmittedCall): void {
  const length = request.headers['content-length'];
  if (length === undefined) return;
  body.announce(Math.max(0, Number(length) - (bodyFormOf(request).enveloped ? ENVELOPE_BYTES : 0)));
}

/** The call ends with its answer at the latest, also one that the library has answered by itself. */
function endWith(response: ServerResponse, { open, close }: AdmittedCall): void {
  response.once('close', () => {
    if (response.writableFinished) {
      const { statusCode } = response;
      open.finish(new InferenceError('INVALID_ARGUMENT', `Refused by its headers, with HTTP ${statusCode}.`));
    } else {
      open.cancel();
      open.finish(open.call.signal.reason);
    }
    close();
  });
}

function linger(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
}
