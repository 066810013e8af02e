/** Finds frames of FLAC (RFC 9639) by their checksums, where the library has lost them in damage. */

/** A frame of which header and body are whole. */
export interface FlacFrame {
  /** Offset of its header. */
  readonly at: number;
  /** Position of its first sample in the stream. */
  readonly position: number;
}

/** Sample rate codes above this have no rate in the header's table. */
const RATE_CODE_INVALID = 15;
const BLOCK_CODE_RESERVED = 0;
const CHANNELS_MAX_CODE = 10;
const HEADER_MIN_BYTES = 6;
const HEADER_MAX_BYTES = 16;
const CRC_8 = crcTable(8, 0x07);
const CRC_16 = crcTable(16, 0x8005);

interface Header {
  /** Number of the frame, or of its first sample if the sizes of blocks vary. */
  readonly number: number;
  readonly varies: boolean;
}

/**
 * Returns the first frame that ends where another begins. `blockSamples`: the samples of a block, if they do not vary.
 */
export function findFlacFrame(bytes: Uint8Array, blockSamples: number): FlacFrame | undefined {
  let starts: { readonly at: number; readonly header: Header; crc: number }[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const header = headerAt(bytes, at);
    if (header !== undefined) {
      const whole = starts.find(({ crc }) => crc === 0);
      if (whole !== undefined) {
        const { number, varies } = whole.header;
        return { at: whole.at, position: varies ? number : number * blockSamples };
      }
      starts = [...starts.slice(-STARTS_MAX), { at, header, crc: 0 }];
    }
    const byte = bytes[at] ?? 0;
    for (const start of starts) start.crc = ((start.crc << 8) ^ (CRC_16[(start.crc >>> 8) ^ byte] ?? 0)) & 0xffff;
  }
  return undefined;
}

/** Headers seen in data are few: their checksums are right by chance once in 256 times. */
const STARTS_MAX = 8;

function headerAt(bytes: Uint8Array, at: number): Header | undefined {
  if (bytes[at] !== 0xff || ((bytes[at + 1] ?? 0) & 0xfe) !== 0xf8 || at + HEADER_MIN_BYTES > bytes.length)
    return undefined;
  const [, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4);
  const blockCode = third >> 4;
  const rateCode = third & 15;
  if (blockCode === BLOCK_CODE_RESERVED || rateCode === RATE_CODE_INVALID) return undefined;
  if (fourth >> 4 > CHANNELS_MAX_CODE || (fourth & 1) !== 0) return undefined;
  const coded = codedNumber(bytes, at + 4);
  if (coded === undefined) return undefined;
  const blockBytes = blockCode === 6 ? 1 : blockCode === 7 ? 2 : 0;
  const rateBytes = rateCode === 12 ? 1 : rateCode === 13 || rateCode === 14 ? 2 : 0;
  const length = 4 + coded.bytes + blockBytes + rateBytes;
  if (length >= HEADER_MAX_BYTES || at + length >= bytes.length) return undefined;
  let crc = 0;
  for (let index = 0; index < length; index++) crc = CRC_8[crc ^ (bytes[at + index] ?? 0)] ?? 0;
  return crc === bytes[at + length] ? { number: coded.number, varies: (second & 1) === 1 } : undefined;
}

/** Reads a number in UTF-8's form, extended to 36 bits. */
function codedNumber(bytes: Uint8Array, at: number): { readonly number: number; readonly bytes: number } | undefined {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { number: first, bytes: 1 };
  const count = Math.clz32(~(first << 24));
  if (count < 2 || count > 7) return undefined;
  let number = first & (0x7f >> count);
  for (let index = 1; index < count; index++) {
    const byte = bytes[at + index] ?? 0;
    if ((byte & 0xc0) !== 0x80) return undefined;
    number = number * 64 + (byte & 0x3f);
  }
  return { number, bytes: count };
}

function crcTable(bits: 8 | 16, polynomial: number): Uint16Array {
  const top = 1 << (bits - 1);
  const mask = 2 ** bits - 1;
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (bits - 8);
    for (let bit = 0; bit < 8; bit++) crc = (crc & top ? (crc << 1) ^ polynomial : crc << 1) & mask;
    return crc;
  });
}
