/** The length of a tag is known after at most that many bytes. */
export const TAG_HEADER_BYTES = 24;

const ID3_HEADER_BYTES = 10;
const INVALID_VERSION = 0xff;
const HAS_FOOTER = 0x10;

/** Size of the header and of the footer, which has the same magic number. */
const APE_HEADER_BYTES = 32;
/** In the upper byte of the flags. */
const IS_HEADER = 0x20;

/**
 * The length of the tag with which bytes begin, including its header and footer; 0: there is none; null: more bytes are needed. Layouts: ID3v2.4,
 * section 3.1; APEv2.
 */
export function tagLength(bytes: ArrayLike<number>): number | null {
  if (startsLike('ID3', bytes)) return id3Length(bytes);
  return startsLike('APETAGEX', bytes) ? apeLength(bytes) : 0;
}

/** Whether bytes begin with a magic number, or are too few to tell. */
function startsLike(magic: string, bytes: ArrayLike<number>): boolean {
  for (let at = 0; at < magic.length && at < bytes.length; at++) if (bytes[at] !== magic.charCodeAt(at)) return false;
  return true;
}

function id3Length(bytes: ArrayLike<number>): number | null {
  if (bytes.length < ID3_HEADER_BYTES) return null;
  if (bytes[3] === INVALID_VERSION) return 0;
  let size = 0;
  // Seven bits per byte.
  for (let at = 6; at < ID3_HEADER_BYTES; at++) {
    const bits = bytes[at] ?? 0;
    if (bits > 0x7f) return 0;
    size = (size << 7) | bits;
  }
  return ID3_HEADER_BYTES + size + ((bytes[5] ?? 0) & HAS_FOOTER ? ID3_HEADER_BYTES : 0);
}

function apeLength(bytes: ArrayLike<number>): number | null {
  if (bytes.length < TAG_HEADER_BYTES) return null;
  if (((bytes[23] ?? 0) & IS_HEADER) === 0) return APE_HEADER_BYTES;
  return [15, 14, 13, 12].reduce((size, at) => size * 256 + (bytes[at] ?? 0), 0) + APE_HEADER_BYTES;
}
