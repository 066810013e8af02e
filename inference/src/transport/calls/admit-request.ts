/** A request over HTTP/1.1 before its body is read: let in, or answered at once. What Connect, gRPC-Web and the OpenAI API share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { InferenceError } from '../../errors.js';
import type { WireError } from '../../services/errors.js';
import type { AdmittedCall, CallAdmission } from './admission.js';
import { type TimeoutHeader, timeoutMsOf } from './call-timeout.js';
import type { Arrival, CallTracker, Protocol } from './call-tracker.js';

/** A caller that is answered before it has sent everything may go on for this long: cut off at once it might not read the answer. */
const LINGER_MS = 5000;

/** A request and the call that it was let in as. */
export interface HttpRequest {
  readonly request: IncomingMessage;
  readonly call: AdmittedCall;
}

export interface ArrivalOptions {
  /** `heimdex.inference.v1.InferenceService/EmbedText`. */
  readonly path: string;
  readonly protocol: Protocol;
  readonly skipAccessLog: boolean;
  /** Bytes of the body that are not its message. */
  readonly envelopeBytes: number;
  /** Writes the answer of a call that is not let in. */
  refuse(wire: WireError, error: InferenceError): void;
}

/** The call, or undefined when the request is answered already. */
export function admitRequest(
  { admission, callTracker }: { readonly admission: CallAdmission; readonly callTracker: CallTracker },
  request: IncomingMessage,
  response: ServerResponse,
  options: ArrivalOptions,
): AdmittedCall | undefined {
  response.once('finish', () => linger(request));
  const arrival = arrivalOf(request, options);
  let call: AdmittedCall | undefined;
  try {
    call = admission.admit(arrival, { streaming: false });
    const length = request.headers['content-length'];
    if (length !== undefined) call.body.announce(Math.max(0, Number(length) - options.envelopeBytes));
  } catch (error) {
    call?.close();
    const refusal = error as InferenceError;
    const wire = call === undefined ? callTracker.refuse(arrival, refusal) : call.open.finish(refusal);
    if (wire !== undefined) options.refuse(wire, refusal);
    return undefined;
  }
  endWith(response, call);
  if (request.headers.expect !== undefined) response.writeContinue();
  return call;
}

/** Ends a connection whose request nobody reads to its end. */
export function linger(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
}

function arrivalOf(request: IncomingMessage, { path, protocol, skipAccessLog }: ArrivalOptions): Arrival {
  const { headers, socket } = request;
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
