import { constants, type ServerHttp2Stream } from 'node:http2';

/**
 * How long the end of a request that was answered early is waited for. If it is already on its way, a reset comes after the stream has ended:
 * nginx then fails the next call of the connection with 502.
 */
const END_UPLOAD_MS = 100;

/** Tells the caller to stop sending after an answer that precedes the end of its request (RFC 9113, section 8.1). */
export function endUpload(stream: ServerHttp2Stream): void {
  setTimeout(() => {
    const ended = stream.closed || stream.destroyed;
    if (ended || stream.state.state !== constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_LOCAL) return;
    stream.close(constants.NGHTTP2_NO_ERROR);
  }, END_UPLOAD_MS);
}
