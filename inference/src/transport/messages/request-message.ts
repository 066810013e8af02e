/** Reads, decompresses and decodes the request messages of Connect and gRPC-Web, one or a stream of them, within the memory limits of their call. */
import type { IncomingMessage } from 'node:http';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { InferenceError } from '../../errors.js';
import type { AdmittedCall } from '../calls/admission.js';
import type { HttpRequest } from '../calls/admit-request.js';
import { type Encoding, isEncoding } from './decompress.js';
import { cutShort, FrameDecoder, severalMessages } from './frame-decoder.js';
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

/** The compression header for a content type. */
export function encodingHeaderOf(contentType: string) {
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
  const form = bodyFormOf(exchange.request);
  const content = form.enveloped
    ? openFrame(await readFrame(exchange))
    : { bytes: await readBody(exchange), compressed: form.encoding !== undefined };
  return decode(await unpack(content, form, exchange.call, decoder), form, exchange.call, desc, decoder);
}

/**
 * The messages of a stream. Each must be consumed when the next is requested. Rejects as `readMessage` does, and for a stream that ends within
 * a message; with the call's reason when the caller is gone.
 */
export async function* readMessages(
  { request, call }: HttpRequest,
  desc: DescMessage,
  decoder: MessageDecoder,
): AsyncGenerator<MessageShape<DescMessage>, void, void> {
  const form = bodyFormOf(request);
  const { body, open } = call;
  const frames = new FrameDecoder(body);
  request.once('close', () => frames.clear());
  try {
    for await (const chunk of chunksOf(request, call)) {
      for (const frame of frames.write(chunk)) {
        const bytes = await unpack(openFrame(frame), form, call, decoder);
        yield await decode(bytes, form, call, desc, decoder);
        body.forget(bytes.byteLength);
      }
    }
  } finally {
    // What still arrives is discarded.
    request.resume();
  }
  // A cancelled stream may look like one that ended normally.
  open.call.signal.throwIfAborted();
  if (!frames.whole) throw new InferenceError('INVALID_ARGUMENT', 'The stream ended in the middle of a message.');
}

/** The body in chunks. Throws the call's reason when the caller is gone. */
async function* chunksOf(request: IncomingMessage, { open }: AdmittedCall): AsyncGenerator<Buffer> {
  const { signal } = open.call;
  try {
    // Stopping early must not destroy the request: the response is still sent on its stream.
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function readBody(exchange: HttpRequest): Promise<Buffer> {
  const { body } = exchange.call;
  const message = new MessageBuffer(body.maxBytes);
  const push = (chunk: Buffer) => {
    body.receive(chunk.byteLength);
    message.push(chunk);
  };
  await receiveAll(exchange, push, message);
  return message.take();
}

/** The frame of the one message that the body has. */
async function readFrame(exchange: HttpRequest): Promise<Buffer> {
  const { body } = exchange.call;
  let message: Buffer | undefined;
  const frames = new FrameDecoder({
    announce: (bytes) => {
      // A message is still in memory while more follows it.
      const before = message === undefined ? 0 : message.byteLength - ENVELOPE_BYTES;
      body.announce(before + bytes);
      body.receive(before);
    },
    receive: (bytes) => body.receive(bytes),
  });
  const push = (chunk: Buffer) => {
    for (const frame of frames.write(chunk)) {
      // Only an end-of-stream frame may follow.
      if (message !== undefined && hasMessage(frame)) throw severalMessages();
      message ??= frame;
    }
  };
  await receiveAll(exchange, push, frames);
  if (message === undefined || !frames.whole) throw cutShort();
  return message;
}

/** Receives the body to its end. `kept` is what `push` has kept of it, for which there is no use when it fails. */
function receiveAll(exchange: HttpRequest, push: (chunk: Buffer) => void, kept: { clear(): void }): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => {
      kept.clear();
      reject(error);
    };
    const arriving = receiveBody(exchange, { push, failed });
    exchange.request.once('end', () => {
      arriving.done();
      resolve();
    });
  });
}

interface Content {
  readonly bytes: Buffer;
  readonly compressed: boolean;
}

function openFrame(frame: Buffer): Content {
  const [flags = 0] = frame;
  if (!hasMessage(frame)) {
    throw new InferenceError('INVALID_ARGUMENT', `Expected a message with flags 0, or 1 if compressed, got ${flags}.`);
  }
  return { bytes: frame.subarray(ENVELOPE_BYTES), compressed: flags === COMPRESSED };
}

/** A frame of another kind, such as the end of a stream, has a flag of its own. */
function hasMessage([flags = 0]: Buffer): boolean {
  return (flags & ~COMPRESSED) === 0;
}

/** The message's own bytes, which the call holds from now on. */
async function unpack(
  content: Content,
  { encoding }: BodyForm,
  call: AdmittedCall,
  decoder: MessageDecoder,
): Promise<Buffer> {
  const bytes = content.compressed ? await decompress(content.bytes, encoding, call, decoder) : content.bytes;
  call.open.call.signal.throwIfAborted();
  call.body.keep(bytes.byteLength);
  return bytes;
}

async function decompress(
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

function decode(
  bytes: Buffer,
  { json }: BodyForm,
  { open }: AdmittedCall,
  desc: DescMessage,
  decoder: MessageDecoder,
): Promise<MessageShape<DescMessage>> {
  return json ? decoder.json(desc, bytes, open.call) : decoder.binaryInTurn(desc, bytes, open.call.signal);
}
