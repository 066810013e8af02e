export const ADTS_HEADER_BYTES = 7;
const ADTS_CHECKSUM_BYTES = 2;
/** What the fourth byte of a header has above the frame's length if `containers/adts-mark.ts` marked it; encoders leave these flags 0. */
export const MARKED_CHANNELS = 0x7c;
/** Number of sample rates in the table of ISO 14496-3; the other indices are reserved. */
const RATE_COUNT = 13;

/** The fields of an ADTS frame's header (ISO 13818-7). */
interface AdtsHeader {
  /** 1 to 4: Main, LC, SSR, LTP. */
  readonly objectType: number;
  readonly rateIndex: number;
  /** 0 if the frames list their channels themselves. */
  readonly channelConfiguration: number;
  /** Length of the frame, header included. */
  readonly frameBytes: number;
}

/** Reads the header at `offset`; undefined if there is none: an MPEG sync word, layer 0 and a known sample rate. */
export function readAdtsHeader(bytes: Uint8Array, offset = 0): AdtsHeader | undefined {
  if (bytes[offset] !== 0xff) return undefined;
  const [second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = bytes.subarray(offset + 1, offset + 6);
  const rateIndex = (third >> 2) & 0x0f;
  if ((second & 0xf6) !== 0xf0 || rateIndex >= RATE_COUNT) return undefined;
  const isMarked = (third & 1) === 0 && (fourth & ~3) === MARKED_CHANNELS;
  return {
    objectType: (third >> 6) + 1,
    rateIndex,
    channelConfiguration: isMarked ? 0 : ((third & 1) << 2) | (fourth >> 6),
    frameBytes: ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5),
  };
}

/** Returns the content of an ADTS frame. */
export function adtsContent(frame: Uint8Array): Uint8Array {
  const hasChecksum = ((frame[1] ?? 0) & 1) === 0;
  return frame.subarray(ADTS_HEADER_BYTES + (hasChecksum ? ADTS_CHECKSUM_BYTES : 0));
}
