/** Reads, decompresses and decodes the single request message of an HTTP/1.1 call within its memory limits. */
import type { IncomingMessage } from 'node:http';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { InferenceError } from '../../errors.js';
import type { AdmittedCall } from '../calls/admission.js';
import type { HttpRequest } from '../calls/admit-request.js';
import type { IncomingBody } from '../calls/incoming-body.js';
import { type Encoding, isEncoding } from './decompress.js';
import { ENVELOPE_BYTES, MessageBuffer } from './message-buffer.js';
import type { MessageDecoder } from './message-decoder.js';
import { receiveBody } from './receive-body.js';

const COMPRESSED = 1;

/** The encoding of a request's body. */
export interface BodyForm {
  readonly json: boolean;
  /** Whether flags and length precede the message. */
  readonly enveloped: boolean;
  readonly encoding: Encoding | undefined;
}

/** The compression header of each protocol. */
export type EncodingHeader = 'content-encoding' | 'connect-content-encoding' | 'grpc-encoding';

/** The compression header for a content type. */
export function encodingHeaderOf(contentType: string): EncodingHeader {
  if (contentType.startsWith('application/grpc-web')) return 'grpc-encoding';
  return contentType.startsWith('application/connect+') ? 'connect-content-encoding' : 'content-encoding';
}

/** The body's encoding from its headers. The library reports unknown encodings. */
export function bodyFormOf({ headers }: Pick<IncomingMessage, 'headers'>): BodyForm {
  const type = headers['content-type'] ?? '';
  const encoding = headers[encodingHeaderOf(type)]?.toString().trim().toLowerCase() ?? '';
  return {
    json: /^application\/(?:json|(?:connect|grpc-web)\+json)\b/.test(type),
    enveloped: /^application\/(?:connect\+|grpc-web)/.test(type),
    encoding: isEncoding(encoding) && encoding !== 'deflate' ? encoding : undefined,
  };
}

/**
 * Rejects with an InferenceError for an invalid message or lack of memory; with the call's reason when it has ended.
 */
export async function readMessage(
  exchange: HttpRequest,
  desc: DescMessage,
  decoder: MessageDecoder,
): Promise<MessageShape<DescMessage>> {
  const { request, call } = exchange;
  const form = bodyFormOf(request);
  const { body, open } = call;
  const { signal } = open.call;
  const raw = await readBody(exchange, new Meter(body, form.enveloped));
  const { content, compressed } = form.enveloped
    ? openEnvelope(raw)
    : { content: raw, compressed: form.encoding !== undefined };
  const bytes = compressed ? await unpack(content, form.encoding, call, decoder) : content;
  signal.throwIfAborted();
  body.keep(bytes.byteLength);
  return form.json ? decoder.json(desc, bytes, open.call) : decoder.binaryInTurn(desc, bytes, signal);
}

/** Counts a body as it arrives; in an envelope only the message, which declares its length. */
class Meter {
  readonly #body: IncomingBody;
  readonly #head: Buffer | undefined;
  #headBytes = 0;

  constructor(body: IncomingBody, enveloped: boolean) {
    this.#body = body;
    this.#head = enveloped ? Buffer.alloc(ENVELOPE_BYTES) : undefined;
  }

  /** Of the body; little follows the message. */
  get maxBytes(): number {
    return this.#body.maxBytes + 2 * ENVELOPE_BYTES;
  }

  /** Throws when there is no memory. */
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
}

function readBody(exchange: HttpRequest, meter: Meter): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const message = new MessageBuffer(meter.maxBytes);
    const arriving = receiveBody(exchange, {
      push: (chunk) => {
        meter.push(chunk);
        message.push(chunk);
      },
      failed: (error) => {
        message.clear();
        reject(error);
      },
    });
    exchange.request.once('end', () => {
      arriving.done();
      resolve(message.take());
    });
  });
}

function openEnvelope(raw: Buffer): { readonly content: Buffer; readonly compressed: boolean } {
  const length = raw.byteLength < ENVELOPE_BYTES ? Number.POSITIVE_INFINITY : raw.readUInt32BE(1);
  if (raw.byteLength < ENVELOPE_BYTES + length) {
    throw new InferenceError('INVALID_ARGUMENT', 'Expected one whole message; the request ended before it.');
  }
  const flags = raw[0] ?? 0;
  const rest = raw.subarray(ENVELOPE_BYTES + length);
  // Only an end-of-stream frame, which has its own flag, may follow.
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
    return await decompressor.unpack(bytes, encoding, body, open.call);
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw new InferenceError('INVALID_ARGUMENT', `The message cannot be decompressed as ${encoding}.`, {
      cause: error,
    });
  }
}
