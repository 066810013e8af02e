import { viewOf } from '../../bytes.js';
import { DamagedImage, refuseImage } from '../errors.js';
import type { Size } from '../image.js';

/** Bits per pixel and their layout. */
export interface BmpHeader extends Size {
  readonly topDown: boolean;
  readonly bitsPerPixel: 1 | 2 | 4 | 8 | 16 | 24 | 32;
  readonly runLength: boolean;
  /** Masks of red, green, blue, alpha for 16 and 32 bits; 0 for none. */
  readonly masks: readonly [number, number, number, number];
  /** Used with up to 8 bits, which have no masks before it. */
  readonly palette: { readonly at: number; readonly count: number; readonly entryBytes: 3 | 4 };
  readonly pixelsAt: number;
  /** An embedded ICC profile. */
  readonly profile: Uint8Array | undefined;
}

const FILE_HEADER_BYTES = 14;
const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const ALPHA_BITFIELDS = 6;
/** Bits per pixel by compression. */
const BITS: Readonly<Record<number, readonly number[]>> = {
  [RGB]: [1, 2, 4, 8, 16, 24, 32],
  [RLE8]: [8],
  [RLE4]: [4],
  [BITFIELDS]: [16, 32],
  [ALPHA_BITFIELDS]: [16, 32],
};
const EMBEDDED_PROFILE = 0x4d424544;
const MASKS_16 = [0x7c00, 0x3e0, 0x1f, 0] as const;
const MASKS_32 = [0xff0000, 0xff00, 0xff, 0] as const;
const CONVERT = 'Save it uncompressed with 24 bits a pixel, or as PNG.';

/**
 * Reads the headers of a BMP file, of Windows (40 to 124 bytes) or OS/2 (12 to 64). Throws IMAGE_UNREADABLE, by name, for one
 * with JPEG, PNG or fax compression inside, DamagedImage where a number cannot be. Layout: Microsoft, "Bitmap Storage" and BITMAPV5HEADER; OS/2
 * BITMAPINFOHEADER2.
 */
export function readBmpHeader(content: Uint8Array): BmpHeader {
  const view = viewOf(content);
  const size = view.getUint32(FILE_HEADER_BYTES, true);
  if (content.length < FILE_HEADER_BYTES + size) throw new DamagedImage('the file ends within its header');
  const core = size === 12;
  const field = (offset: number): number => (offset + 4 <= size ? view.getUint32(FILE_HEADER_BYTES + offset, true) : 0);
  const half = (offset: number): number => view.getUint16(FILE_HEADER_BYTES + offset, true);
  const width = core ? half(4) : field(4) | 0;
  const height = core ? half(6) : field(8) | 0;
  if (width <= 0 || height === 0 || height === -2_147_483_648) {
    throw new DamagedImage(`its header says ${width} x ${height} pixels`);
  }
  const compression = core ? RGB : field(16);
  const bitsPerPixel = bitsOf(core ? half(10) : half(14), compression, size);
  const masks = masksOf(view, bitsPerPixel, compression, size);
  const paletteAt = FILE_HEADER_BYTES + size;
  const pixelsAt = view.getUint32(10, true);
  const entryBytes = core ? 3 : 4;
  const room = Math.max(0, Math.floor((pixelsAt - paletteAt) / entryBytes));
  return {
    width,
    height: Math.abs(height),
    topDown: height < 0,
    bitsPerPixel,
    runLength: compression === RLE8 || compression === RLE4,
    masks,
    palette: { at: paletteAt, count: Math.min(field(32) || room, 2 ** bitsPerPixel, room), entryBytes },
    pixelsAt,
    profile: profileOf(content, size, field),
  };
}

function bitsOf(bits: number, compression: number, size: number): BmpHeader['bitsPerPixel'] {
  const os2 = size === 16 || size === 64;
  if (os2 && (compression === 3 || compression === 4)) {
    throw refuseImage('BMP', `an OS/2 bitmap with ${compression === 3 ? 'Huffman 1D' : 'RLE24'} compression`, CONVERT);
  }
  if (compression === 4 || compression === 5) {
    throw refuseImage('BMP', `a BMP with ${compression === 4 ? 'JPEG' : 'PNG'} compression`, CONVERT);
  }
  if (!BITS[compression]?.includes(bits))
    throw refuseImage('BMP', `a BMP of ${bits} bits a pixel with compression ${compression}`, CONVERT);
  return bits as BmpHeader['bitsPerPixel'];
}

function masksOf(view: DataView, bits: number, compression: number, size: number): BmpHeader['masks'] {
  if (compression !== BITFIELDS && compression !== ALPHA_BITFIELDS) return bits === 16 ? MASKS_16 : MASKS_32;
  // After a header of 40 bytes, at the same offset within a longer one.
  const at = FILE_HEADER_BYTES + 40;
  const withAlpha = size >= 56 || compression === ALPHA_BITFIELDS;
  if (at + (withAlpha ? 16 : 12) > view.byteLength) throw new DamagedImage('the file ends within its header');
  const mask = (index: number): number => view.getUint32(at + index * 4, true) & (bits === 16 ? 0xffff : -1);
  const masks: BmpHeader['masks'] = [mask(0), mask(1), mask(2), withAlpha ? mask(3) : 0];
  // ImageMagick 6 (-define bmp:subtype) writes pixels where its header promises masks.
  if (
    !masks.every(isOneRun) ||
    masks.some((each, index) => masks.slice(0, index).some((other) => (each & other) !== 0))
  ) {
    throw new DamagedImage('its header has masks that are no parts of a pixel');
  }
  return masks;
}

function isOneRun(mask: number): boolean {
  const carried = (mask | 0) + (mask & -mask);
  return (carried & mask) === 0;
}

function profileOf(content: Uint8Array, size: number, field: (offset: number) => number): Uint8Array | undefined {
  if (size < 124 || field(56) !== EMBEDDED_PROFILE) return undefined;
  const at = FILE_HEADER_BYTES + field(112);
  return at + field(116) <= content.length ? content.subarray(at, at + field(116)) : undefined;
}
