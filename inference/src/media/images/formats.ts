/** What GetServerInfo says of `image_formats`. Recognised by content, never by name. */
export const IMAGE_FORMATS = ['JPEG', 'PNG', 'WebP', 'GIF', 'AVIF', 'TIFF'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Brands of ISO base media files that hold AV1 pictures. */
const AVIF_BRANDS = ['avif', 'avis'];

/**
 * The format of a picture by its first bytes, or undefined where it is none of ours. Nothing else is shown to the
 * decoders, so that those for other formats never see a stranger's bytes.
 */
export function sniffImageFormat(content: Uint8Array): ImageFormat | undefined {
  if (startsWith(content, [0xff, 0xd8, 0xff])) return 'JPEG';
  if (startsWith(content, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'PNG';
  if (ascii(content, 0, 4) === 'RIFF' && ascii(content, 8, 12) === 'WEBP') return 'WebP';
  if (ascii(content, 0, 6) === 'GIF87a' || ascii(content, 0, 6) === 'GIF89a') return 'GIF';
  if (startsWith(content, [0x49, 0x49, 0x2a, 0x00]) || startsWith(content, [0x4d, 0x4d, 0x00, 0x2a])) return 'TIFF';
  if (startsWith(content, [0x49, 0x49, 0x2b, 0x00]) || startsWith(content, [0x4d, 0x4d, 0x00, 0x2b])) return 'TIFF';
  return hasAvifBrand(content) ? 'AVIF' : undefined;
}

/** The major brand counts, and so do the compatible ones: a file may call itself `mif1` first. */
function hasAvifBrand(content: Uint8Array): boolean {
  if (ascii(content, 4, 8) !== 'ftyp') return false;
  const end = Math.min(content.length, 64, new DataView(content.buffer, content.byteOffset).getUint32(0));
  for (let at = 8; at + 4 <= end; at += 4) {
    if (at !== 12 && AVIF_BRANDS.includes(ascii(content, at, at + 4))) return true;
  }
  return false;
}

/** What bytes that are no picture look like, for an error's message: "a PDF", "text beginning `Hello`". */
export function describeContent(content: Uint8Array): string {
  const known = KNOWN_OTHERS.find(([at, signature]) => ascii(content, at, at + signature.length) === signature);
  const size = `${content.length.toLocaleString('en')} byte${content.length === 1 ? '' : 's'}`;
  if (known !== undefined) return `${size} of ${known[2]}`;
  const head = content.subarray(0, 24);
  if (head.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127))) {
    return `${size} of text beginning ${JSON.stringify(ascii(content, 0, 24))}`;
  }
  return `${size} beginning ${Buffer.from(content.subarray(0, 8)).toString('hex')} in hex`;
}

const KNOWN_OTHERS: readonly (readonly [at: number, signature: string, name: string])[] = [
  [0, '%PDF', 'a PDF'],
  [0, '<svg', 'an SVG drawing'],
  [0, '<?xml', 'XML, perhaps an SVG drawing'],
  [0, 'PK\u0003\u0004', 'a ZIP archive'],
  [0, 'fLaC', 'a FLAC recording'],
  [0, 'OggS', 'an Ogg recording'],
  [0, 'ID3', 'an MP3 recording'],
  [8, 'WAVE', 'a WAV recording'],
  [8, 'AVI ', 'an AVI film'],
  [4, 'ftyphei', 'a HEIC picture'],
  [4, 'ftypmif1', 'a HEIC picture'],
  [4, 'ftypmsf1', 'a HEIC picture'],
  [4, 'ftyp', 'an MP4 film'],
  [0, '8BPS', 'a Photoshop file'],
  [0, 'BM', 'a BMP picture'],
  [0, 'P6\n', 'a PPM picture'],
];

function startsWith(content: Uint8Array, signature: readonly number[]): boolean {
  return content.length >= signature.length && signature.every((byte, index) => content[index] === byte);
}

function ascii(content: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...content.subarray(start, end));
}
