/** Decompression that stops where the message becomes too large. */
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { MessageBuffer } from './message-buffer.js';

const DECOMPRESSORS = {
  gzip: () => zlib.createGunzip({ chunkSize: CHUNK_BYTES }),
  deflate: () => zlib.createInflate({ chunkSize: CHUNK_BYTES }),
  br: () => zlib.createBrotliDecompress({ chunkSize: CHUNK_BYTES }),
} as const;
const CHUNK_BYTES = 64 * 1024;

export type Encoding = keyof typeof DECOMPRESSORS;

export function isEncoding(name: string): name is Encoding {
  return Object.hasOwn(DECOMPRESSORS, name);
}

export interface UnpackLimit {
  readonly maxBytes: number;
  /** Told of each chunk; may throw. */
  unpack(bytes: number): void;
}

/** Small messages unpack to little: at most a thousand times their size. They wait for nobody. */
const SMALL_BYTES = 4 * 1024;
/** Of the others this many at a time: more are not faster, and hold the serving thread up and memory. */
const AT_A_TIME = 2;

export class Decompressor {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** The bytes unpacked. Rejects with what the limit throws, with zlib's own error, or with the signal's reason when it is aborted before its turn. */
  async unpack(bytes: Uint8Array, encoding: Encoding, limit: UnpackLimit, signal: AbortSignal): Promise<Buffer> {
    if (bytes.byteLength <= SMALL_BYTES) return decompress(bytes, encoding, limit);
    if (this.#running >= AT_A_TIME) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      signal.throwIfAborted();
      return await decompress(bytes, encoding, limit);
    } finally {
      const next = this.#waiting.shift();
      // A place goes over to the next one.
      if (next === undefined) this.#running -= 1;
      else next();
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
