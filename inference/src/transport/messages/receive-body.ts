import { InferenceError } from '../../errors.js';
import type { HttpRequest } from '../calls/admit-request.js';

export interface BodyReceiver {
  /** Gets each chunk; an error that it throws is the body's. */
  push(chunk: Buffer): void;
  /** Called once if the body fails: by a chunk, by `fail`, because the caller is gone or the call has ended. */
  failed(error: unknown): void;
}

/** A body that arrives. */
export interface ArrivingBody {
  /** All that is needed of it has arrived. Idempotent. */
  done(): void;
  /** It is refused: the rest is discarded, so that the answer does not wait behind it. No effect on one that is done or has failed. */
  fail(error: unknown): void;
}

/** Receives the body of an HTTP/1.1 request at the pace of its call, which may end meanwhile. */
export function receiveBody({ request, call }: HttpRequest, { push, failed }: BodyReceiver): ArrivingBody {
  const { body, open } = call;
  const { signal } = open.call;
  let over = false;
  const pace = (chunk: Buffer) => body.pace(chunk.byteLength, request);
  const receive = (chunk: Buffer) => {
    try {
      push(chunk);
      pace(chunk);
    } catch (error) {
      fail(error);
    }
  };
  const gone = () => fail(new InferenceError('CANCELLED', 'The caller disconnected before its request was complete.'));
  const close = () => {
    if (!request.readableEnded) gone();
  };
  const abort = () => fail(signal.reason);
  const done = () => {
    over = true;
    body.end();
    request.off('data', receive).off('error', gone).off('close', close);
    signal.removeEventListener('abort', abort);
  };
  const fail = (error: unknown) => {
    if (over) return;
    done();
    failed(error);
    // After `failed`: the end of a pipe pauses its source.
    request
      .on('error', () => {})
      .on('data', pace)
      .resume();
  };
  request.on('data', receive).on('error', gone).on('close', close);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  else if (request.destroyed) close();
  return { done, fail };
}
