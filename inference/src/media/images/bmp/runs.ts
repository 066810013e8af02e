import { DamagedImage } from '../errors.js';
import type { BmpHeader } from './header.js';

const END_OF_LINE = 0;
const END_OF_BITMAP = 1;
const DELTA = 2;

/**
 * Palette indices of a BMP with RLE8 or RLE4, row by row from the top; 0 where the runs leave pixels out. What reaches beyond a
 * row or the image is dropped. Throws DamagedImage where the file ends within the runs.
 */
export function expandRuns(
  content: Uint8Array,
  { width, height, bitsPerPixel, topDown, pixelsAt }: BmpHeader,
): Uint8Array {
  const indices = new Uint8Array(width * height);
  const nibbles = bitsPerPixel === 4;
  let x = 0;
  let line = 0;
  let at = pixelsAt;
  /** The index of a pixel among those in a byte, two to a byte in RLE4. */
  const indexIn = (packed: number, pixel: number): number => {
    if (!nibbles) return packed;
    return pixel % 2 === 0 ? packed >> 4 : packed & 15;
  };
  const put = (index: number): void => {
    if (x < width) indices[(topDown ? line : height - 1 - line) * width + x] = index;
    x += 1;
  };
  const byte = (): number => {
    const value = content[at++];
    // Some writers omit the end of the bitmap, none the pixels before it.
    if (value === undefined) throw new DamagedImage('the file ends too early, within its pixels');
    return value;
  };
  while (line < height && !(at >= content.length && isLastPixel(x, line, width, height))) {
    const count = byte();
    const value = byte();
    if (count > 0) {
      for (let pixel = 0; pixel < count; pixel += 1) put(indexIn(value, pixel));
    } else if (value === END_OF_LINE) {
      x = 0;
      line += 1;
    } else if (value === END_OF_BITMAP) {
      break;
    } else if (value === DELTA) {
      x += byte();
      line += byte();
    } else {
      const bytes = nibbles ? Math.ceil(value / 2) : value;
      for (let pixel = 0; pixel < value; pixel += 1) {
        const packed = nibbles && pixel % 2 === 1 ? (content[at - 1] as number) : byte();
        put(indexIn(packed, pixel));
      }
      // Literal pixels are padded to 16 bits.
      at += bytes % 2;
    }
  }
  return indices;
}

function isLastPixel(x: number, line: number, width: number, height: number): boolean {
  return line === height - 1 && x >= width;
}
