import { viewOf } from '../bytes.js';

/** Chunk types as numbers. */
const [COMPRESSED, INTERNATIONAL, PIXELS, EXIF] = [0x7a_54_58_74, 0x69_54_58_74, 0x49_44_41_54, 0x65_58_49_66];
const TRANSPARENCY = 0x74_52_4e_53;
/** The bit of a type that tells that the pixels can be read without the chunk (section 5.4). */
const ANCILLARY = 0x20_00_00_00;
const SIGNATURE_BYTES = 8;
/** Length and type before the data of a chunk, and its checksum behind it. */
const HEAD_BYTES = 8;
const CHECKSUM_BYTES = 4;
const CRC_POLYNOMIAL = 0xedb8_8320;
/** What EXIF data has in a JPEG. Some programs write it into a PNG too, of which libpng then reads none. */
const EXIF_START = Buffer.from('Exif\0\0', 'latin1');

interface Chunk {
  readonly type: number;
  readonly at: number;
  /** Where the next one begins, which is behind the end of the file if this one is truncated. */
  readonly next: number;
}

/**
 * A PNG as libvips should see it. Without the compressed text (zTXt, iTXt) in front of its pixels, which nothing here reads: libpng inflates and keeps
 * up to 1,000 texts of 8 MB each, before any time limit applies: a file of 7 MB took 4 GB. With its last EXIF data in front of its pixels:
 * ImageMagick writes it behind them, and libvips reads no further for its orientation. Layout: PNG (W3C, third edition), sections 5.3, 5.6
 * and 11.3.
 */
export function readablePng(content: Uint8Array): Uint8Array {
  const exif = exifOf(content);
  const kept: Uint8Array[] = [];
  let from = 0;
  let pixelsAt = content.length;
  for (const { type, at, next } of chunksOf(content)) {
    if (type === PIXELS) {
      pixelsAt = at;
      break;
    }
    if (type === COMPRESSED || type === INTERNATIONAL || type === EXIF) {
      kept.push(content.subarray(from, at));
      from = next;
    }
  }
  if (exif.length === 0 && kept.length === 0) return content;
  const moved = exif.length === 0 ? [] : [pngChunk('eXIf', exif)];
  return Buffer.concat([...kept, content.subarray(from, pixelsAt), ...moved, content.subarray(pixelsAt)]);
}

/** A PNG without what its pixels do not need, of which a decoder may unpack gigabytes: profiles, texts, an animation. */
export function barePng(content: Uint8Array): Uint8Array {
  const kept = [content.subarray(0, SIGNATURE_BYTES)];
  for (const { type, at, next } of chunksOf(content)) {
    if ((type & ANCILLARY) === 0 || type === TRANSPARENCY) kept.push(content.subarray(at, next));
  }
  return Buffer.concat(kept);
}

/** The last EXIF data of a PNG, without what it begins with in a JPEG; empty if there is none. */
function exifOf(content: Uint8Array): Uint8Array {
  let data: Uint8Array = new Uint8Array(0);
  for (const { type, at, next } of chunksOf(content)) {
    if (type === EXIF && next <= content.length) data = content.subarray(at + HEAD_BYTES, next - CHECKSUM_BYTES);
  }
  return EXIF_START.equals(data.subarray(0, EXIF_START.length)) ? data.subarray(EXIF_START.length) : data;
}

/** Where a PNG's pixels begin, and their compressed data, which ends where the file does if that is truncated. */
export function pngPixels(content: Uint8Array): { readonly at: number; readonly data: Uint8Array } | undefined {
  const parts: Uint8Array[] = [];
  let start: number | undefined;
  for (const { type, at, next } of chunksOf(content)) {
    if (type === PIXELS) {
      start ??= at;
      parts.push(content.subarray(at + HEAD_BYTES, next - CHECKSUM_BYTES));
    } else if (start !== undefined) break;
  }
  return start === undefined ? undefined : { at: start, data: Buffer.concat(parts) };
}

export function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(HEAD_BYTES + data.length + CHECKSUM_BYTES);
  chunk.writeUInt32BE(data.length);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, HEAD_BYTES);
  chunk.writeUInt32BE(crcOf(chunk.subarray(4, -CHECKSUM_BYTES)), HEAD_BYTES + data.length);
  return chunk;
}

function* chunksOf(content: Uint8Array): Iterable<Chunk> {
  const view = viewOf(content);
  for (let at = SIGNATURE_BYTES; at + HEAD_BYTES <= content.length; ) {
    const next = at + HEAD_BYTES + view.getUint32(at) + CHECKSUM_BYTES;
    yield { type: view.getUint32(at + 4), at, next };
    at = next;
  }
}

function crcOf(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ CRC_POLYNOMIAL : crc >>> 1;
  return crc >>> 0;
});
