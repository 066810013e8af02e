import { latin1, viewOf } from '../bytes.js';
/** The `image_formats` of GetServerInfo. Detected by content, never by file name. */
export const IMAGE_FORMATS = ['JPEG', 'PNG', 'WebP', 'GIF', 'AVIF', 'HEIC', 'TIFF', 'BMP', 'JXL'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Names of the formats in messages. */
export const FORMAT_NAMES: Readonly<Record<ImageFormat, string>> = {
  JPEG: 'JPEG',
  PNG: 'PNG',
  WebP: 'WebP',
  GIF: 'GIF',
  AVIF: 'AVIF',
  HEIC: 'HEIC',
  TIFF: 'TIFF',
  BMP: 'BMP',
  JXL: 'JPEG XL',
};

/** ISO base media brands of AV1 images. */
const AVIF_BRANDS = ['avif', 'avis'];
/** Brands of HEVC images, then generic image brands, which are the only ones in some HEIC files. */
const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'mif2', 'msf1'];
/** As in libvips. */
const MAX_BRANDS_BYTES = 256;

const TIFF_SIGNATURES = [
  [0x49, 0x49, 0x2a, 0x00],
  [0x4d, 0x4d, 0x00, 0x2a],
  [0x49, 0x49, 0x2b, 0x00],
  [0x4d, 0x4d, 0x00, 0x2b],
];
/** Header sizes of BMP files, Windows and OS/2, by `biSize`. */
const BMP_HEADERS = [12, 16, 40, 52, 56, 64, 108, 124];

/**
 * Detects the format of an image from its first bytes; undefined for unsupported ones. Only detected formats reach the
 * decoders, so other decoders never see untrusted bytes.
 */
export function detectImageFormat(content: Uint8Array): ImageFormat | undefined {
  if (startsWith(content, [0xff, 0xd8, 0xff])) return 'JPEG';
  if (startsWith(content, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'PNG';
  if (latin1(content, 0, 4) === 'RIFF' && latin1(content, 8, 12) === 'WEBP') return 'WebP';
  if (latin1(content, 0, 6) === 'GIF87a' || latin1(content, 0, 6) === 'GIF89a') return 'GIF';
  // Camera raw files with a signature inside the TIFF header are reported by name.
  if (TIFF_SIGNATURES.some((signature) => startsWith(content, signature)) && latin1(content, 8, 10) !== 'CR')
    return 'TIFF';
  if (isBmp(content)) return 'BMP';
  if (startsWith(content, [0xff, 0x0a]) || latin1(content, 4, 12) === 'JXL \r\n\u0087\n') return 'JXL';
  const brands = brandsOf(content);
  if (brands.some((brand) => AVIF_BRANDS.includes(brand))) return 'AVIF';
  // A video may list an image brand as compatible.
  return HEIC_BRANDS.includes(brands[0] ?? '') ? 'HEIC' : undefined;
}

/** The major and compatible brands of an ISO base media file; empty for other files. */
export function brandsOf(content: Uint8Array): readonly string[] {
  if (content.length < 12 || latin1(content, 4, 8) !== 'ftyp') return [];
  const size = viewOf(content).getUint32(0);
  const end = Math.min(content.length, MAX_BRANDS_BYTES, size);
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += 4) {
    if (at !== 12) brands.push(latin1(content, at, at + 4));
  }
  return brands;
}

/** Two letters are not enough: text may begin with them. */
function isBmp(content: Uint8Array): boolean {
  if (latin1(content, 0, 2) !== 'BM' || content.length < 18) return false;
  return BMP_HEADERS.includes(viewOf(content).getUint32(14, true));
}

export function startsWith(content: Uint8Array, signature: readonly number[]): boolean {
  return content.length >= signature.length && signature.every((byte, index) => content[index] === byte);
}
