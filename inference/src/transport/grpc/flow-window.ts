/**
 * How much a caller may send before the server has read it. HTTP/2's own default of 64 KiB a connection is six images: under load
 * calls then wait in their caller, unseen by queue and bound, and one slow stream of audio holds up the others beside it.
 * grpc-js has a setting for this on its client side alone, so each connection is told when its first call arrives.
 */
import type { Http2Session, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { STREAM_BYTES } from '../calls/admission.js';

const CONNECTION_BYTES = 2 * 1024 * 1024;

const widened = new WeakSet<Http2Session>();

/** Widens the windows of the connection that a call of grpc-js came by, once; nothing where there is no stream in it. */
export function widenWindows(call: object): void {
  // A stream on the server's side has a session of the server's side; the types do not say so.
  const session = (call as { readonly stream?: ServerHttp2Stream }).stream?.session as ServerHttp2Session | undefined;
  if (session === undefined || widened.has(session)) return;
  widened.add(session);
  session.setLocalWindowSize(CONNECTION_BYTES);
  session.settings({ initialWindowSize: STREAM_BYTES });
}
