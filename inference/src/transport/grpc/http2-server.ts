/** What grpc-js gives no way to: its HTTP/2 server, before it does anything with a stream. */
import type http2 from 'node:http2';
import type grpc from '@grpc/grpc-js';
import { withinTimers } from '../calls/call-timeout.js';

/** grpc-js makes its HTTP/2 servers by this method of its own; the version is pinned, and tests fail where it is not called. */
interface MakesServers {
  createHttp2Server(credentials: grpc.ServerCredentials): http2.Http2Server;
}

export interface StreamObserver {
  /** A call has begun on the connection. */
  began(stream: http2.ServerHttp2Stream): void;
}

/**
 * Sees each stream before grpc-js does. Deadlines that are longer than a timer are shortened: grpc-js takes them to 32 bits, so that a
 * month is over at once.
 */
export function watchStreams(server: grpc.Server, observer: StreamObserver): void {
  const makes = server as unknown as MakesServers;
  const create = makes.createHttp2Server.bind(server);
  makes.createHttp2Server = (credentials) => {
    const made = create(credentials);
    made.prependListener('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      const timeout = headers['grpc-timeout']?.toString();
      if (timeout !== undefined) headers['grpc-timeout'] = withinTimers('grpc-timeout', timeout);
      observer.began(stream);
    });
    return made;
  };
}
