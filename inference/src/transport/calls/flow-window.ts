/**
 * Sets how much a caller may send before the server reads it. HTTP/2's default of 64 KiB per connection is six images:
 * under load, calls would wait in the client, invisible to the queue and its limits, and a slow audio stream would
 * block the others. grpc-js supports this only on the client side, so each connection is configured when its first request
 * arrives.
 */
import type { Http2Session, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { MIB } from '@heimdex/common';
import { STREAM_BYTES } from './admission.js';

const CONNECTION_BYTES = 2 * MIB;

const widened = new WeakSet<Http2Session>();

/** Enlarges the windows of a stream's connection, once. */
export function widenWindows(stream: ServerHttp2Stream): void {
  // A server-side stream has a server-side session, until it is destroyed; the types do not say so.
  const session = stream.session as ServerHttp2Session | undefined;
  if (session === undefined || widened.has(session)) return;
  widened.add(session);
  session.setLocalWindowSize(CONNECTION_BYTES);
  session.settings({ initialWindowSize: STREAM_BYTES });
}
