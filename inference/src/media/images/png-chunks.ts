import { viewOf } from './icc.js';

/** Chunk types as numbers. */
const [COMPRESSED, INTERNATIONAL, PIXELS, EXIF] = [0x7a_54_58_74, 0x69_54_58_74, 0x49_44_41_54, 0x65_58_49_66];
const SIGNATURE_BYTES = 8;
/** Length, type and checksum. */
const CHUNK_BYTES = 12;

/**
 * A PNG as libvips should see it. Without the compressed text (zTXt, iTXt) in front of its pixels, which nothing here reads: libpng inflates and keeps
 * up to 1,000 texts of 8 MB each, before any time limit applies: a file of 7 MB took 4 GB. With the EXIF data that lies behind its pixels, where
 * ImageMagick writes it, in front of them: libvips reads no further for its orientation. Layout: PNG (W3C, third edition), sections 5.3, 5.6
 * and 11.3.
 */
export function readablePng(content: Uint8Array): Uint8Array {
  const view = viewOf(content);
  const kept: Uint8Array[] = [];
  let from = 0;
  let pixelsAt: number | undefined;
  let hasExif = false;
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= content.length; ) {
    const type = view.getUint32(at + 4);
    const next = at + CHUNK_BYTES + view.getUint32(at);
    if (type === PIXELS) {
      if (hasExif) break;
      pixelsAt ??= at;
    } else if (type === EXIF && pixelsAt === undefined) {
      hasExif = true;
    } else if (type === EXIF) {
      kept.push(content.subarray(from, pixelsAt), content.subarray(at, next));
      from = pixelsAt as number;
      break;
    } else if (pixelsAt === undefined && (type === COMPRESSED || type === INTERNATIONAL)) {
      kept.push(content.subarray(from, at));
      from = next;
    }
    at = next;
  }
  return kept.length === 0 ? content : Buffer.concat([...kept, content.subarray(from)]);
}
