import { createInflateRaw } from 'node:zlib';
import { pngChunk, pngPixels } from './png-chunks.js';

/** In front of the deflated pixels (RFC 1950). */
const ZLIB_HEADER_BYTES = 2;
/** Adler-32, behind them. */
const SUM_BYTES = 4;
const ADLER_BASE = 65_521;
/** Four samples of 16 bits, and the filter of a row. */
const MAX_PIXEL_BYTES = 9;

/**
 * Returns a PNG with right checksums if its pixels are whole: Pillow reads one that lacks the sum at their end, as an interrupted download may,
 * and one whose chunks of pixels have a wrong checksum. Undefined if pixels are missing.
 */
export async function repairPngEnd(content: Uint8Array, pixelCount: number): Promise<Uint8Array | undefined> {
  const pixels = pngPixels(content);
  const data = pixels && (await withSum(pixels.data, pixelCount * MAX_PIXEL_BYTES));
  if (data === undefined) return undefined;
  return Buffer.concat([content.subarray(0, pixels?.at), pngChunk('IDAT', data), pngChunk('IEND', new Uint8Array(0))]);
}

/** Adds the sum behind deflated data that ends before it; undefined for incomplete data, or more than `maxBytes` of it. */
async function withSum(data: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> {
  const inflate = createInflateRaw();
  inflate.end(data.subarray(ZLIB_HEADER_BYTES));
  let [low, high, bytes] = [1, 0, 0];
  try {
    for await (const part of inflate as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > maxBytes) return undefined;
      for (const byte of part) {
        low += byte;
        high += low;
      }
      low %= ADLER_BASE;
      high %= ADLER_BASE;
    }
  } catch {
    return undefined;
  }
  const end = ZLIB_HEADER_BYTES + inflate.bytesWritten;
  if (end + SUM_BYTES <= data.length) return data;
  const sum = Buffer.alloc(SUM_BYTES);
  sum.writeUInt32BE(high * 65_536 + low);
  return Buffer.concat([data.subarray(0, end), sum]);
}
