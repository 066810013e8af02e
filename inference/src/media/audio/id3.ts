/** Size of an ID3v2 tag's header, and of the footer that it may have. */
export const TAG_HEADER_BYTES = 10;

const ID3 = [0x49, 0x44, 0x33];
const INVALID_VERSION = 0xff;
const HAS_FOOTER = 0x10;

/** Whether bytes begin as an ID3v2 tag does, or are too few to tell. */
export function startsLikeTag(bytes: ArrayLike<number>): boolean {
  return ID3.every((letter, index) => index >= bytes.length || bytes[index] === letter);
}

/** The length of the ID3v2 tag with which bytes begin, including its header and footer; 0 if there is none. Layout: ID3v2.4, section 3.1. */
export function tagLength(bytes: ArrayLike<number>): number {
  if (bytes.length < TAG_HEADER_BYTES || !startsLikeTag(bytes) || bytes[3] === INVALID_VERSION) return 0;
  let size = 0;
  // Seven bits per byte.
  for (let at = 6; at < TAG_HEADER_BYTES; at++) {
    const bits = bytes[at] ?? 0;
    if (bits > 0x7f) return 0;
    size = (size << 7) | bits;
  }
  return TAG_HEADER_BYTES + size + ((bytes[5] ?? 0) & HAS_FOOTER ? TAG_HEADER_BYTES : 0);
}
