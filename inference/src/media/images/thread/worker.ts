/** Entry of the decoding thread: one image at a time. It holds no model, so it can be terminated at any time. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { parentPort } from 'node:worker_threads';
import { InferenceError } from '../../../errors.js';
import type { ThreadStarted } from '../../../process/limited-thread.js';
import { ownThreadId } from '../../../process/work-reading.js';
import { decodeBmp } from '../bmp/decode.js';
import { DamagedImage } from '../errors.js';
import { HeicDecoder } from './heic.js';
import { JxlDecoder } from './jxl.js';
import { MAX_DECODER_BYTES } from './limits.js';
import type { DecodedContent, DecodeRequest, FailedAnswer, ThreadAnswer } from './messages.js';

// The libraries write their warnings to the console.
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }));

let heic: HeicDecoder | undefined;
let jxl: JxlDecoder | undefined;

function decode(request: DecodeRequest): DecodedContent {
  switch (request.format) {
    case 'BMP':
      return { raw: decodeBmp(request.content) };
    case 'HEIC':
      heic ??= new HeicDecoder(MAX_DECODER_BYTES);
      return { raw: heic.decode(request) };
    case 'JXL':
      jxl ??= new JxlDecoder(MAX_DECODER_BYTES);
      return { png: jxl.decode(request) };
  }
}

function answer(request: DecodeRequest): ThreadAnswer {
  try {
    const content = decode(request);
    return { kind: 'decoded', content, memoryBytes: memoryBytes() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof InferenceError) return { kind: 'refused', message, memoryBytes: memoryBytes() };
    return { kind: 'failed', message, reason: failureReason(error), memoryBytes: memoryBytes() };
  }
}

function memoryBytes(): number {
  return (heic?.memoryBytes ?? 0) + (jxl?.memoryBytes ?? 0);
}

/** WebAssembly that trapped or threw a non-Error (a C++ exception) stopped in the middle. */
function failureReason(error: unknown): FailedAnswer['reason'] {
  if (error instanceof DamagedImage) return 'damaged';
  return error instanceof Error && error.name !== 'RuntimeError' ? 'decoder' : 'crashed';
}

parentPort?.postMessage({ kind: 'started', tid: ownThreadId() } satisfies ThreadStarted);
parentPort?.on('message', (request: DecodeRequest) => {
  const result = answer(request);
  if (result.kind !== 'decoded') return parentPort?.postMessage(result);
  const bytes = 'raw' in result.content ? result.content.raw.data : result.content.png;
  parentPort?.postMessage(result, [bytes.buffer as ArrayBuffer]);
});
