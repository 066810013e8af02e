import { deflateSync } from 'node:zlib';
import { pngChunk } from '../../src/media/images/png-chunks.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A black PNG of `width` x `height` grey pixels in few bytes, of which `rowBytes` are there. */
export function pngBomb(width: number, height: number, rowBytes: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const rows = deflateSync(Buffer.alloc(rowBytes));
  const end = pngChunk('IEND', Buffer.alloc(0));
  return Buffer.concat([SIGNATURE, pngChunk('IHDR', header), pngChunk('IDAT', rows), end]);
}
