import { latin1, viewOf } from '../bytes.js';

const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** What the RIFF header's size leaves out. */
const UNCOUNTED_BYTES = 8;

/** In VP8X: bits of the byte that tells what the file has. */
const FLAGS_AT = RIFF_HEADER_BYTES + CHUNK_HEADER_BYTES;
const HAS_ALPHA = 0x10;
const IS_ANIMATION = 0x02;
/** In VP8L: the byte in which the same bit tells of transparency. */
const ALPHA_AT = 4;

/** A WebP as libvips is to see it: with one frame, and with the transparency that it has. */
export function readableWebp(content: Uint8Array): Uint8Array {
  return withAlphaFlag(withFirstFrame(content));
}

/**
 * A still image without loss tells in its own header (VP8L) whether it has transparency, but libvips goes by that of the file (VP8X).
 * ExifTool, which adds that one with the first metadata, leaves it out there.
 */
function withAlphaFlag(content: Uint8Array): Uint8Array {
  const flags = content[FLAGS_AT] ?? 0;
  if (latin1(content, RIFF_HEADER_BYTES, RIFF_HEADER_BYTES + 4) !== 'VP8X') return content;
  if ((flags & (HAS_ALPHA | IS_ANIMATION)) !== 0) return content;
  for (const { type, at } of chunksIn(content, content.length)) {
    if (type !== 'VP8L') continue;
    if (((content[at + CHUNK_HEADER_BYTES + ALPHA_AT] ?? 0) & HAS_ALPHA) === 0) return content;
    const flagged = Uint8Array.from(content);
    flagged[FLAGS_AT] = flags | HAS_ALPHA;
    return flagged;
  }
  return content;
}

/**
 * A WebP animation without the frames behind its first one. libvips reads the delay of each, and libwebp looks each up from the first one on:
 * 100,000 frames in 5 MB took 97 s, before any time limit applies. A file that is not whole is left to libwebp, which refuses it. Layout: RFC
 * 9649, sections 2.3, 2.4 and 2.7.1.4.
 */
export function withFirstFrame(content: Uint8Array): Uint8Array {
  if (content.length < RIFF_HEADER_BYTES) return content;
  const end = UNCOUNTED_BYTES + viewOf(content).getUint32(4, true);
  if (end > content.length) return content;
  const kept: Uint8Array[] = [];
  let [from, frames] = [0, 0];
  for (const { type, at, next } of chunksIn(content, end)) {
    if (next > end) return content;
    if (type !== 'ANMF') continue;
    frames += 1;
    if (frames === 1) continue;
    kept.push(content.subarray(from, at));
    from = next;
  }
  if (kept.length === 0) return content;
  const still = Buffer.concat([...kept, content.subarray(from, end)]);
  still.writeUInt32LE(still.length - UNCOUNTED_BYTES, 4);
  return still;
}

/** The chunks of a file up to an offset: where each one begins and, behind it, the next. The last may be longer than the file. */
function* chunksIn(content: Uint8Array, end: number) {
  const view = viewOf(content);
  for (let at = RIFF_HEADER_BYTES; at + CHUNK_HEADER_BYTES <= end; ) {
    const size = view.getUint32(at + 4, true);
    const next = at + CHUNK_HEADER_BYTES + size + (size % 2);
    yield { type: latin1(content, at, at + 4), at, next };
    at = next;
  }
}
