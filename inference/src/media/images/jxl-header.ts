import { joinBytes, lowBitsOf } from '../bytes.js';
import { boxesIn } from './boxes.js';
import { startsWith } from './formats.js';
import type { Size } from './image.js';

/** Width by height ratios, for headers that give a ratio instead of a width. */
const RATIOS: readonly (readonly [number, number])[] = [
  [0, 1],
  [1, 1],
  [12, 10],
  [4, 3],
  [3, 2],
  [16, 9],
  [5, 4],
  [2, 1],
];
const SIZE_BITS = [9, 13, 18, 30];
/** Of a `jxlp` box, in front of its part of the codestream. */
const INDEX_BYTES = 4;
/** More than the header up to the orientation can have. */
const HEADER_BYTES = 32;

/**
 * Size of a JPEG XL image as shown, from its first bytes; undefined where they are damaged. Layout: ISO/IEC 18181-1,
 * annexes D.2 (SizeHeader) and D.3 (ImageMetadata); the boxes of 18181-2.
 */
export function readJxlSize(content: Uint8Array): Size | undefined {
  const codestream = startsWith(content, [0xff, 0x0a]) ? content : codestreamOf(content);
  if (codestream === undefined || !startsWith(codestream, [0xff, 0x0a]) || codestream.length < 6) return undefined;
  const read = lowBitsOf(codestream, 16);
  const small = read(1) === 1;
  const side = (): number => (small ? (read(5) + 1) * 8 : read(SIZE_BITS[read(2)] ?? 0) + 1);
  const height = side();
  const [numerator, denominator] = RATIOS[read(3)] ?? [0, 1];
  const width = numerator === 0 ? side() : Math.floor((height * numerator) / denominator);
  const allDefault = read(1) === 1;
  const orientation = !allDefault && read(1) === 1 ? read(3) + 1 : 1;
  return orientation > 4 ? { width: height, height: width } : { width, height };
}

/** The start of the codestream: of a `jxlc` box, or of `jxlp` boxes after their index. The first of these may have the signature alone. */
function codestreamOf(content: Uint8Array): Uint8Array | undefined {
  let start = new Uint8Array();
  for (const box of boxesIn(content)) {
    if (box.type === 'jxlc') return content.subarray(box.start);
    if (box.type === 'jxlp')
      start = joinBytes(start, content.subarray(box.start + INDEX_BYTES, box.end).subarray(0, HEADER_BYTES));
    if (start.length >= HEADER_BYTES) break;
  }
  return start.length > 0 ? start : undefined;
}
