/** Requests over HTTP/2 that are not native gRPC, for the listener of those over HTTP/1.1. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { REQUEST_TIMEOUT_MS, UNREAD_MS } from '../calls/admission.js';
import { endUpload } from '../calls/end-upload.js';
import { MAX_PROBES, OpenStreams } from '../calls/open-streams.js';

/** Maximum open requests without permits, such as pages, the metrics and refused calls. Each holds up to 50 KiB of an answer. */
const MAX_OTHERS = 256;
/**
 * How long nothing may arrive of a request that is read on after its answer: longer than the way to its caller and back. Some callers, such as
 * those with Java's client before version 25 and Python's httpx, take no answer before they have sent everything, and wait forever after a reset.
 */
const SILENCE_MS = 500;
/** Proxies check the health of a server over the protocol of its calls. */
const HEALTH_PATH = /^\/(health|livez|readyz)(\?|$)/;

export class Http2Requests {
  readonly #probes = new OpenStreams(MAX_PROBES);
  readonly #others = new OpenStreams(MAX_OTHERS);
  readonly #unreadMs: number;

  /** @param unreadMs timeout of a response that is not read */
  constructor(unreadMs = UNREAD_MS) {
    this.#unreadMs = unreadMs;
  }

  /** The request is limited otherwise: by permits, or as a running watch by the service. One over HTTP/1.1 has no effect. */
  admitted(request: IncomingMessage): void {
    if (request instanceof http2.Http2ServerRequest) this.#others.delete(request.stream as ServerHttp2Stream);
  }

  /** Passes a stream to the listener, as a request and response with the members that those of HTTP/1.1 have. */
  listener(next: RequestListener) {
    return (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void => {
      (isProbe(stream, headers) ? this.#probes : this.#others).add(stream);
      const request = new http2.Http2ServerRequest(stream, headers, {}, rawHeaders);
      const response = new http2.Http2ServerResponse(stream);
      stream.setTimeout(this.#unreadMs);
      stream.on('timeout', () => {
        // A call in progress may take long.
        if (stream.writableEnded || stream.writableLength > 0) stream.close(http2.constants.NGHTTP2_CANCEL);
      });
      stream.once('finish', () => {
        // A caller that is answered before its request is complete gets time to send the rest.
        if (!request.complete) request.resume();
        endUpload(stream, { silenceMs: SILENCE_MS, readOnMs: REQUEST_TIMEOUT_MS });
      });
      next(request as unknown as IncomingMessage, response as unknown as ServerResponse);
    };
  }
}

function isProbe(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const { ':method': method = '', ':path': path = '' } = headers;
  return stream.endAfterHeaders && ['GET', 'HEAD'].includes(method) && HEALTH_PATH.test(path);
}
