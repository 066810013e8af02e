import { constants, type ServerHttp2Stream } from 'node:http2';

/**
 * How long the end of a request that was answered early is waited for. If it is already on its way, a reset comes after the stream has ended:
 * nginx then fails the next call of the connection with 502.
 */
const END_UPLOAD_MS = 100;

/**
 * Tells the caller to stop sending after an answer that precedes the end of its request (RFC 9113, section 8.1): when nothing has arrived for
 * `silenceMs`, or after `readOnMs` at the latest.
 */
export function endUpload(stream: ServerHttp2Stream, { silenceMs = END_UPLOAD_MS, readOnMs = 0 } = {}): void {
  const answeredAt = performance.now();
  let arrivedAt = answeredAt;
  if (readOnMs > 0) stream.on('data', () => (arrivedAt = performance.now()));
  const end = () => {
    const ended = stream.closed || stream.destroyed;
    if (ended || stream.state.state !== constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_LOCAL) return;
    const now = performance.now();
    if (now - arrivedAt < silenceMs && now - answeredAt < readOnMs) timer.refresh();
    else stream.close(constants.NGHTTP2_NO_ERROR);
  };
  // After what arrived while the process was busy.
  const timer = setTimeout(() => setImmediate(end), silenceMs);
}
