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
  const perByte = 8 / bitsPerPixel;
  let x = 0;
  let line = 0;
  let at = pixelsAt;
  const byteAt = (position: number): number => {
    const value = content[position];
    // Some writers omit the end of the bitmap, none the pixels before it.
    if (value === undefined) throw new DamagedImage('the file ends too early, within its pixels');
    return value;
  };
  /** Writes the next pixel: the one of that number in a run, whose byte is `packed`. */
  const put = (packed: number, pixel: number): void => {
    const index = (packed >> (bitsPerPixel * (perByte - 1 - (pixel % perByte)))) & (2 ** bitsPerPixel - 1);
    if (x < width) indices[(topDown ? line : height - 1 - line) * width + x] = index;
    x += 1;
  };
  while (line < height && !(at >= content.length && isLastPixel(x, line, width, height))) {
    const count = byteAt(at);
    const value = byteAt(at + 1);
    at += 2;
    if (count > 0) {
      for (let pixel = 0; pixel < count; pixel += 1) put(value, pixel);
    } else if (value === END_OF_LINE) {
      x = 0;
      line += 1;
    } else if (value === END_OF_BITMAP) {
      break;
    } else if (value === DELTA) {
      x += byteAt(at);
      line += byteAt(at + 1);
      at += 2;
    } else {
      for (let pixel = 0; pixel < value; pixel += 1) put(byteAt(at + Math.floor(pixel / perByte)), pixel);
      // Literal pixels are padded to 16 bits.
      at += 2 * Math.ceil(value / perByte / 2);
    }
  }
  return indices;
}

function isLastPixel(x: number, line: number, width: number, height: number): boolean {
  return line === height - 1 && x >= width;
}
