/** Entry of the decoding thread: one recording at a time, one request at a time. */
import { parentPort } from 'node:worker_threads';
import { InferenceError } from '../../errors.js';
import { createDecoder } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest } from './messages.js';
import { DecodeSession } from './session.js';

let session: DecodeSession | undefined;

async function answer(request: ThreadRequest): Promise<ThreadAnswer> {
  try {
    if (request.kind === 'open') {
      session?.close();
      session = undefined;
      session = new DecodeSession(await createDecoder(request.choice));
      return { kind: 'opened' };
    }
    if (session === undefined) throw new InferenceError('INTERNAL', 'The decoder was asked before it was opened.');
    return { kind: 'pulled', ...(await session.pull(request)) };
  } catch (error) {
    const known = error instanceof InferenceError;
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', code: known ? error.code : 'AUDIO_UNREADABLE', message };
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
