/** Decompression with a size limit. */
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { KIB } from '@heimdex/common';
import { Semaphore } from '../../semaphore.js';
import type { Caller } from '../../services/call.js';
import type { IncomingBody } from '../calls/incoming-body.js';
import { MessageBuffer } from './message-buffer.js';

const DECOMPRESSORS = {
  gzip: () => zlib.createGunzip({ chunkSize: CHUNK_BYTES }),
  deflate: () => zlib.createInflate({ chunkSize: CHUNK_BYTES }),
  br: () => zlib.createBrotliDecompress({ chunkSize: CHUNK_BYTES }),
} as const;
const CHUNK_BYTES = 64 * KIB;

export type Encoding = keyof typeof DECOMPRESSORS;

export function isEncoding(name: string): name is Encoding {
  return Object.hasOwn(DECOMPRESSORS, name);
}

/** Brotli is not offered to callers of native gRPC. */
export function isGrpcEncoding(name: string): name is Encoding {
  return isEncoding(name) && name !== 'br';
}

/** What a message may decompress to. */
type UnpackLimit = Pick<IncomingBody, 'maxBytes' | 'unpack'>;

/**
 * Small messages decompress to little, at most a thousand times their size, so they do not wait. Except in brotli: 64 MiB of zeros have
 * 106 bytes.
 */
const SMALL_BYTES = 4 * KIB;
/** Concurrency of the others: more are not faster, use memory and block the main thread. */
const AT_A_TIME = 2;

export class Decompressor {
  readonly #slots = new Semaphore(AT_A_TIME);

  /**
   * Returns the decompressed bytes. Rejects with the limit's error, zlib's error, or the signal's reason when aborted
   * before it starts.
   */
  async unpack(bytes: Uint8Array, encoding: Encoding, limit: UnpackLimit, caller: Caller): Promise<Buffer> {
    if (bytes.byteLength <= SMALL_BYTES && encoding !== 'br') return decompress(bytes, encoding, limit);
    const release = await this.#slots.acquire(caller.signal, caller.priority);
    try {
      return await decompress(bytes, encoding, limit);
    } finally {
      release();
    }
  }
}

async function decompress(bytes: Uint8Array, encoding: Encoding, limit: UnpackLimit): Promise<Buffer> {
  const message = new MessageBuffer(limit.maxBytes);
  await pipeline([bytes], DECOMPRESSORS[encoding](), async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      limit.unpack(chunk.byteLength);
      message.push(chunk);
    }
  });
  return message.take();
}
