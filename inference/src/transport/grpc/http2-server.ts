/** Hooks into grpc-js's HTTP/2 server, for which it has no API. */
import type http2 from 'node:http2';
import type grpc from '@grpc/grpc-js';
import { KIB, MIB } from '@heimdex/common';
import { STREAM_BYTES } from '../calls/admission.js';
import { timeoutMsOf, withinTimers } from '../calls/call-timeout.js';

/**
 * grpc-js creates its HTTP/2 servers with this private method. The version is pinned, and tests fail if it is not
 * called.
 */
interface MakesServers {
  createHttp2Server(credentials: grpc.ServerCredentials): http2.Http2Server;
}

/**
 * Of a call, with 32 for each header. Callers that are told of it refuse a call with more by themselves; of others, Node.js resets it. Above
 * it nghttp2 ends the connection, without an answer to the call or to the others on it.
 */
const MAX_HEADER_BYTES = 64 * KIB;

/**
 * How much a caller may send on a connection before the server reads it. HTTP/2's default of 64 KiB is six images: under load, calls would
 * wait in the client, invisible to the queue and its limits, and a slow audio stream would block the others.
 */
const CONNECTION_BYTES = 2 * MIB;

export interface StreamObserver {
  /** A request began on the connection. */
  began(stream: http2.ServerHttp2Stream): void;
  /** It is not native gRPC. */
  other(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, rawHeaders: readonly string[]): void;
}

/** Of native gRPC in protobuf. grpc-js would take gRPC-Web and other codecs for it, and answer what their callers cannot read. */
const GRPC_TYPE = /^application\/grpc(\+proto)?\s*(;|$)/;

/** grpc-js refuses it, and shows it. Of 100000000H it would read the last eight digits: a timeout that has passed. */
const MALFORMED = 'malformed, expected up to eight digits and a unit';

/**
 * Runs for each stream before grpc-js, which gets only those that are still open and of native gRPC. Shortens timeouts
 * above the longest timer: grpc-js truncates them to 32 bits, so that a month would expire at once.
 */
export function watchStreams(server: grpc.Server, observer: StreamObserver): void {
  const makes = server as unknown as MakesServers;
  const create = makes.createHttp2Server.bind(server);
  makes.createHttp2Server = (credentials) => {
    const made = create(credentials);
    made.prependListener('session', endLater);
    made.on('session', setLimits);
    const listeners = made.listeners('stream');
    made.removeAllListeners('stream');
    const begin: StreamListener = (stream, headers, flags, rawHeaders) => {
      // Reset with the bytes that opened it: grpc-js would answer, for example that its method is unknown, and throw.
      if (stream.destroyed || stream.closed) return void stream.on('error', () => {});
      observer.began(stream);
      if (!GRPC_TYPE.test(headers['content-type'] ?? '')) return observer.other(stream, headers, rawHeaders);
      const timeout = headers['grpc-timeout']?.toString();
      if (timeout !== undefined) {
        const isValid = Number.isFinite(timeoutMsOf('grpc-timeout', timeout));
        headers['grpc-timeout'] = isValid ? withinTimers('grpc-timeout', timeout) : MALFORMED;
      }
      for (const listener of listeners) listener.call(made, stream, headers, flags, rawHeaders);
    };
    return made.on('stream', begin as (stream: http2.ServerHttp2Stream) => void);
  };
}

function setLimits(session: http2.ServerHttp2Session): void {
  session.setLocalWindowSize(CONNECTION_BYTES);
  session.settings({ initialWindowSize: STREAM_BYTES, maxHeaderListSize: MAX_HEADER_BYTES });
}

/** The types of Node.js leave out the last one. */
type StreamListener = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
) => void;

/**
 * Node.js ends a session in the callback that reports the peer's GOAWAY, while nghttp2 still reads the frames behind it: calls there corrupt
 * the heap or fail an assertion, and end the process. It ends in the next turn instead.
 */
function endLater(session: http2.ServerHttp2Session): void {
  const close = session.close.bind(session);
  const destroy = session.destroy.bind(session);
  session.close = (callback) => void setImmediate(close, callback);
  session.destroy = (error, code) => void setImmediate(destroy, error, code);
}
