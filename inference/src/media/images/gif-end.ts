import { colourTableBytes, firstDescriptor, nextBlock } from './gif-canvas.js';

/** Bytes of a full block of data: 255, or 254 of some writers. */
const FULL_BLOCK = 254;
/** The end of a frame's data, and of the file. */
const END = Buffer.of(0, 0x3b);

/**
 * The file with the end of its first frame, if that alone is missing: the decoder wants it, and would also take it behind half of the
 * pixels. The last block of their data is known by its size: those before it are full.
 */
export function withGifEnd(content: Uint8Array): Uint8Array {
  const descriptor = firstDescriptor(content);
  if (descriptor === undefined) return content;
  let last = 0;
  let at = descriptor + 11 + colourTableBytes(content[descriptor + 9]);
  while ((content[at] ?? 0) > 0) {
    last = at;
    at = nextBlock(content, at);
  }
  const isMissing = at === content.length && last > 0 && (content[last] ?? 0) < FULL_BLOCK;
  return isMissing ? Buffer.concat([content, END]) : content;
}
