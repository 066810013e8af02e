/** Admits or answers a request before its body is read. Shared by Connect, gRPC-Web and the OpenAI API, over HTTP/1.1 and HTTP/2. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { InferenceError } from '../../errors.js';
import type { WireError } from '../../services/errors.js';
import type { AdmittedCall, CallAdmission } from './admission.js';
import { type TimeoutHeader, timeoutMsOf } from './call-timeout.js';
import { type Arrival, type CallTracker, REQUEST_ID, requestIdOf } from './call-tracker.js';

/** A request and its admitted call. */
export interface HttpRequest {
  readonly request: IncomingMessage;
  readonly call: AdmittedCall;
}

export interface Admission {
  readonly admission: CallAdmission;
  readonly callTracker: CallTracker;
}

export interface ArrivalOptions extends Pick<Arrival, 'path' | 'protocol' | 'skipAccessLog'> {
  /** Whether the body is a stream of messages, of which each is consumed before the next is read. */
  readonly streaming: boolean;
  /** Bytes of the body that are not its message. */
  readonly envelopeBytes: number;
  /** Writes the response of a refused call. */
  refuse(wire: WireError, error: InferenceError): void;
}

/** The call, or undefined when the request has been answered. */
export function admitRequest(
  { admission, callTracker }: Admission,
  request: IncomingMessage,
  response: ServerResponse,
  options: ArrivalOptions,
): AdmittedCall | undefined {
  const arrival = arrivalOf(request, response, options);
  let call: AdmittedCall | undefined;
  try {
    const { streaming } = options;
    call = admission.admit(arrival, { streaming });
    const length = request.headers['content-length'];
    if (length !== undefined && !streaming) call.body.announce(Math.max(0, Number(length) - options.envelopeBytes));
  } catch (error) {
    call?.close();
    const refusal = error as InferenceError;
    const wire = call === undefined ? callTracker.refuse(arrival, refusal) : call.open.finish(refusal);
    // A 401 has it (RFC 9110, section 15.5.2): some clients, such as Java's, fail without.
    if (wire?.status === 'UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer');
    if (wire !== undefined) options.refuse(wire, refusal);
    return undefined;
  }
  endWith(response, call);
  // Of HTTP/1.0 it is to be ignored (RFC 9110, section 10.1.1).
  if (request.headers.expect !== undefined && request.httpVersion !== '1.0') response.writeContinue();
  return call;
}

/** The request as a call. Its answer gets the id of its log line, whether it is admitted or refused. */
export function arrivalOf(
  request: IncomingMessage,
  response: ServerResponse,
  { path, protocol, skipAccessLog }: Pick<Arrival, 'path' | 'protocol' | 'skipAccessLog'>,
): Arrival {
  const { headers, socket } = request;
  const id = requestIdOf(headers[REQUEST_ID]?.toString());
  headers[REQUEST_ID] = id;
  response.setHeader(REQUEST_ID, id);
  const timeoutHeader: TimeoutHeader = protocol === 'grpc-web' ? 'grpc-timeout' : 'connect-timeout-ms';
  const header = (name: string) => headers[name]?.toString();
  return {
    path,
    protocol,
    // Read now: a closed connection no longer has an address.
    peer: socket.remoteAddress === undefined ? 'unknown' : `${socket.remoteAddress}:${socket.remotePort}`,
    timeoutMs: timeoutMsOf(timeoutHeader, header(timeoutHeader)),
    skipAccessLog,
    headerBytes: request.rawHeaders.reduce((sum, { length }) => sum + length, 0),
    header,
  };
}

/** The call ends with its response at the latest, even one the library sends itself. */
function endWith(response: ServerResponse, { open, close }: AdmittedCall): void {
  response.once('close', () => {
    if (response.writableEnded) {
      const { statusCode } = response;
      open.finish(new InferenceError('INVALID_ARGUMENT', `Refused by its headers, with HTTP ${statusCode}.`));
    } else {
      open.cancel();
      open.finish(open.call.signal.reason);
    }
    close();
  });
}
