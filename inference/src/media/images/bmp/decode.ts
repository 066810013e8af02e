import { viewOf } from '../../bytes.js';
import { DamagedImage } from '../errors.js';
import type { RawImage } from '../raw-image.js';
import { type BmpHeader, readBmpHeader } from './header.js';
import { expandRuns } from './runs.js';

/** Decodes a BMP file. Throws like readBmpHeader, and DamagedImage where pixels are missing. */
export function decodeBmp(content: Uint8Array): RawImage {
  const header = readBmpHeader(content);
  const { width, height, bitsPerPixel } = header;
  if (bitsPerPixel <= 8) {
    const indices = header.runLength ? expandRuns(content, header) : undefined;
    return { width, height, channels: 3, data: fromPalette(content, header, indices) };
  }
  if (bitsPerPixel === 24) return { width, height, channels: 3, data: fromBgr(content, header) };
  const hasAlpha = header.masks[3] !== 0;
  const data = fromMasks(content, header, hasAlpha ? 4 : 3);
  // Programs without alpha support leave it 0: the image would be invisible.
  if (hasAlpha && isInvisible(data)) fillAlpha(data);
  return { width, height, channels: hasAlpha ? 4 : 3, data };
}

/** Offset of each row in the file. Rows are padded to 4 bytes; the last one's padding may be missing. */
function rowsOf(
  content: Uint8Array,
  { width, height, bitsPerPixel, topDown, pixelsAt }: BmpHeader,
): (row: number) => number {
  const used = Math.ceil((width * bitsPerPixel) / 8);
  const stride = Math.ceil(used / 4) * 4;
  if (pixelsAt < 14) throw new DamagedImage(`its header says that the pixels begin at byte ${pixelsAt}`);
  if (pixelsAt + stride * (height - 1) + used > content.length) {
    const missing = Math.min(1, (pixelsAt + stride * height - content.length) / (stride * height));
    throw new DamagedImage(
      `the file ends too early: about ${Math.max(1, Math.round(missing * 100))} % of its pixels are missing`,
    );
  }
  return (row) => pixelsAt + stride * (topDown ? row : height - 1 - row);
}

function fromPalette(content: Uint8Array, header: BmpHeader, indices: Uint8Array | undefined): Uint8Array {
  const { width, height, bitsPerPixel } = header;
  const colours = paletteOf(content, header);
  const data = new Uint8Array(width * height * 3);
  const rows = indices === undefined ? rowsOf(content, header) : undefined;
  const perByte = 8 / bitsPerPixel;
  const mask = 2 ** bitsPerPixel - 1;
  for (let y = 0, to = 0; y < height; y += 1) {
    const from = rows?.(y) ?? y * width;
    for (let x = 0; x < width; x += 1) {
      let index: number;
      if (indices !== undefined) index = indices[from + x] as number;
      else {
        const byte = content[from + Math.floor(x / perByte)] as number;
        index = (byte >> (8 - bitsPerPixel * ((x % perByte) + 1))) & mask;
      }
      data[to++] = colours[index * 3] as number;
      data[to++] = colours[index * 3 + 1] as number;
      data[to++] = colours[index * 3 + 2] as number;
    }
  }
  return data;
}

/** RGB; black where an entry is missing, as in viewers. */
function paletteOf(content: Uint8Array, { palette: { at, count, entryBytes } }: BmpHeader): Uint8Array {
  const colours = new Uint8Array(256 * 3);
  for (let entry = 0; entry < count; entry += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      colours[entry * 3 + channel] = content[at + entry * entryBytes + 2 - channel] ?? 0;
    }
  }
  return colours;
}

function fromBgr(content: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height } = header;
  const rows = rowsOf(content, header);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y += 1) {
    const from = rows(y);
    for (let at = from; at < from + width * 3; at += 3, to += 3) {
      data[to] = content[at + 2] as number;
      data[to + 1] = content[at + 1] as number;
      data[to + 2] = content[at] as number;
    }
  }
  return data;
}

function fromMasks(content: Uint8Array, header: BmpHeader, channels: 3 | 4): Uint8Array {
  const { width, height, bitsPerPixel } = header;
  const rows = rowsOf(content, header);
  const view = viewOf(content);
  const size = bitsPerPixel / 8;
  const read = size === 2 ? (at: number) => view.getUint16(at, true) : (at: number) => view.getUint32(at, true);
  const parts = header.masks.slice(0, channels).map(partOf);
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y += 1) {
    const from = rows(y);
    for (let x = 0; x < width; x += 1) {
      const pixel = read(from + x * size);
      for (const { mask, shift, most } of parts) {
        data[to++] = Math.round((((pixel & mask) >>> shift) * 255) / most);
      }
    }
  }
  return data;
}

/** A colour without a mask is 0. */
function partOf(mask: number): { mask: number; shift: number; most: number } {
  if (mask === 0) return { mask, shift: 0, most: 1 };
  const shift = 31 - Math.clz32(mask & -mask);
  return { mask, shift, most: mask >>> shift };
}

function isInvisible(rgba: Uint8Array): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 0) return false;
  return true;
}

function fillAlpha(rgba: Uint8Array): void {
  for (let at = 3; at < rgba.length; at += 4) rgba[at] = 255;
}
