/** Decompression that stops where the message becomes too large. */
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';

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

/** The bytes unpacked. `unpacked` is told of each piece and may throw; what it throws, or zlib's own error, is what this rejects with. */
export async function decompress(
  bytes: Uint8Array,
  encoding: Encoding,
  unpacked: (bytes: number) => void,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  await pipeline([bytes], DECOMPRESSORS[encoding](), async (source: AsyncIterable<Buffer>) => {
    for await (const piece of source) {
      unpacked(piece.byteLength);
      pieces.push(piece);
    }
  });
  return Buffer.concat(pieces);
}
