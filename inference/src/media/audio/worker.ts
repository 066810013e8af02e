/** Entry of the decoding thread: one recording at a time, one request at a time. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { parentPort } from 'node:worker_threads';
import { InferenceError } from '../../errors.js';
import { createDecoder } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest } from './messages.js';
import { DecodeSession } from './session.js';

// The libraries write their complaints about a recording to the console; what matters of them is in the answers.
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }));

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
    if (session === undefined) throw new InferenceError('INTERNAL', 'The decoder was asked before it was opened.');
    return { kind: 'pulled', ...(await session.pull(request)) };
  } catch (error) {
    const known = error instanceof InferenceError;
    const message = error instanceof Error ? error.message : String(error);
    const field = known ? error.field : undefined;
    return { kind: 'failed', code: known ? error.code : 'AUDIO_UNREADABLE', message, field };
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
