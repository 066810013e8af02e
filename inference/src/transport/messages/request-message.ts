/** The one request message of a call over HTTP/1.1: read, unpacked and decoded within what the call may hold. */
import type { IncomingMessage } from 'node:http';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { InferenceError } from '../../errors.js';
import type { AdmittedCall } from '../calls/admission.js';
import type { HttpRequest } from '../calls/admit-request.js';
import type { IncomingBody } from '../calls/incoming-body.js';
import { type Encoding, isEncoding } from './decompress.js';
import { MessageBuffer } from './message-buffer.js';
import type { MessageDecoder } from './message-decoder.js';

/** Flags and length: what stands before a message in a stream. */
const ENVELOPE_BYTES = 5;
const COMPRESSED = 1;

/** How a request's body is written. */
export interface BodyForm {
  readonly json: boolean;
  /** With flags and length before the message. */
  readonly enveloped: boolean;
  readonly encoding: Encoding | undefined;
}

/** Where each protocol says how its messages are compressed. */
export type EncodingHeader = 'content-encoding' | 'connect-content-encoding' | 'grpc-encoding';

/** The header that says how the body of this content type is compressed. */
export function encodingHeaderOf(contentType: string): EncodingHeader {
  if (contentType.startsWith('application/grpc-web')) return 'grpc-encoding';
  return contentType.startsWith('application/connect+') ? 'connect-content-encoding' : 'content-encoding';
}

/** The form by the headers. An encoding that nobody knows is left to the library. */
export function bodyFormOf({ headers }: Pick<IncomingMessage, 'headers'>): BodyForm {
  const type = headers['content-type'] ?? '';
  const encoding = headers[encodingHeaderOf(type)]?.toString() ?? '';
  return {
    json: /^application\/(?:json|(?:connect|grpc-web)\+json)\b/.test(type),
    enveloped: /^application\/(?:connect\+|grpc-web)/.test(type),
    encoding: isEncoding(encoding) && encoding !== 'deflate' ? encoding : undefined,
  };
}

/** Rejects with an InferenceError for what is no message, or one that there is no room for; with the call's reason when it is over. */
export async function readMessage(
  { request, call }: HttpRequest,
  desc: DescMessage,
  decoder: MessageDecoder,
): Promise<MessageShape<DescMessage>> {
  const form = bodyFormOf(request);
  const { body, open } = call;
  const { signal } = open.call;
  const raw = await readBody(request, new Meter(body, form.enveloped), signal).finally(() => body.end());
  const { content, compressed } = form.enveloped
    ? openEnvelope(raw)
    : { content: raw, compressed: form.encoding !== undefined };
  const bytes = compressed ? await unpack(content, form.encoding, call, decoder) : content;
  signal.throwIfAborted();
  body.keep(bytes.byteLength);
  return form.json ? decoder.json(desc, bytes, signal) : decoder.binaryInTurn(desc, bytes, signal);
}

/** Counts a body as it comes; of one in an envelope the message alone, which says itself how long it is. */
class Meter {
  readonly #body: IncomingBody;
  readonly #head: Buffer | undefined;
  #headBytes = 0;

  constructor(body: IncomingBody, enveloped: boolean) {
    this.#body = body;
    this.#head = enveloped ? Buffer.alloc(ENVELOPE_BYTES) : undefined;
  }

  /** Of the body; what stands behind the message is little. */
  get maxBytes(): number {
    return this.#body.maxBytes + 2 * ENVELOPE_BYTES;
  }

  /** Throws where there is no room. */
  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.#head !== undefined && this.#headBytes < ENVELOPE_BYTES) {
      const taken = chunk.subarray(0, ENVELOPE_BYTES - this.#headBytes);
      this.#head.set(taken, this.#headBytes);
      this.#headBytes += taken.byteLength;
      rest = chunk.subarray(taken.byteLength);
      if (this.#headBytes === ENVELOPE_BYTES) this.#body.announce(this.#head.readUInt32BE(1));
    }
    this.#body.receive(rest.byteLength);
  }

  pace(chunk: Buffer, request: IncomingMessage): void {
    this.#body.pace(chunk.byteLength, request);
  }
}

function readBody(request: IncomingMessage, meter: Meter, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const message = new MessageBuffer(meter.maxBytes);
    const forget = () => {
      request.off('data', push).off('end', end).off('error', gone).off('close', gone);
      signal.removeEventListener('abort', abort);
    };
    const fail = (error: unknown) => {
      forget();
      message.clear();
      // What is still on its way is thrown away: the answer must not wait behind it.
      request.on('error', () => {}).on('data', (chunk) => meter.pace(chunk, request));
      reject(error);
    };
    const push = (chunk: Buffer) => {
      try {
        meter.push(chunk);
        message.push(chunk);
        meter.pace(chunk, request);
      } catch (error) {
        fail(error);
      }
    };
    const end = () => {
      forget();
      resolve(message.take());
    };
    const gone = () => fail(new InferenceError('CANCELLED', 'The caller gave up before its request was whole.'));
    const abort = () => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) return abort();
    if (request.destroyed && !request.complete) return gone();
    request.on('data', push).on('end', end).on('error', gone).on('close', gone);
  });
}

function openEnvelope(raw: Buffer): { readonly content: Buffer; readonly compressed: boolean } {
  const length = raw.byteLength < ENVELOPE_BYTES ? Number.POSITIVE_INFINITY : raw.readUInt32BE(1);
  if (raw.byteLength < ENVELOPE_BYTES + length) {
    throw new InferenceError('INVALID_ARGUMENT', 'Expected one whole message; the request ended before it.');
  }
  const flags = raw[0] ?? 0;
  const rest = raw.subarray(ENVELOPE_BYTES + length);
  // Behind it only what ends a stream may come, which has a flag of its own.
  if ((flags & ~COMPRESSED) !== 0 || (rest.byteLength > 0 && ((rest[0] ?? 0) & ~COMPRESSED) === 0)) {
    throw new InferenceError('INVALID_ARGUMENT', 'Expected exactly one message in the request.');
  }
  return { content: raw.subarray(ENVELOPE_BYTES, ENVELOPE_BYTES + length), compressed: (flags & COMPRESSED) !== 0 };
}

async function unpack(
  bytes: Buffer,
  encoding: Encoding | undefined,
  { body, open }: AdmittedCall,
  { decompressor }: MessageDecoder,
): Promise<Buffer> {
  if (encoding === undefined) {
    throw new InferenceError('INVALID_ARGUMENT', 'The message is marked as compressed, and no header says how.');
  }
  if (bytes.byteLength === 0) return bytes;
  try {
    return await decompressor.unpack(bytes, encoding, body, open.call.signal);
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw new InferenceError('INVALID_ARGUMENT', `The message cannot be decompressed as ${encoding}.`, {
      cause: error,
    });
  }
}
