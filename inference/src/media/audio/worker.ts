/** Entry point of the decoder thread: one audio file and one request at a time. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { parentPort } from 'node:worker_threads';
import { causeText, InferenceError } from '../../errors.js';
import type { ThreadStarted } from '../../process/limited-thread.js';
import { ownThreadId } from '../../process/work-reading.js';
import { createDecoder } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest } from './messages.js';
import { DecodeSession } from './session.js';
import { undecodable } from './undecodable.js';

// Libraries log errors of an audio file to the console; the relevant ones are in the answers.
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }));

parentPort?.postMessage({ kind: 'started', tid: ownThreadId() } satisfies ThreadStarted);

let session: DecodeSession | undefined;

async function answer(request: ThreadRequest): Promise<ThreadAnswer> {
  try {
    if (request.kind !== 'pull') {
      session?.close();
      session = undefined;
    }
    if (request.kind === 'close') return { kind: 'closed' };
    if (request.kind === 'open') {
      session = new DecodeSession(await createDecoder(request.choice));
      return { kind: 'opened' };
    }
    if (session === undefined)
      throw new InferenceError('INTERNAL', 'The decoder received a request before it was opened.');
    return { kind: 'pulled', ...(await session.pull(request)) };
  } catch (error) {
    const { code, message, field, retryAfterMs, cause } = undecodable(error);
    return { kind: 'failed', code, message, field, retryAfterMs, cause: causeText(cause) };
  }
}

parentPort?.on('message', (request: ThreadRequest) => {
  answer(request).then(
    (result) => parentPort?.postMessage(result, result.kind === 'pulled' ? [result.samples.buffer as ArrayBuffer] : []),
    (error: unknown) => {
      throw error;
    },
  );
});
