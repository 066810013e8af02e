export const ADTS_HEADER_BYTES = 7;
/** Number of sample rates in the table of ISO 14496-3; the other indices are reserved. */
const RATE_COUNT = 13;

/** The fields of an ADTS frame's header (ISO 13818-7). */
export interface AdtsHeader {
  /** 1 to 4: Main, LC, SSR, LTP. */
  readonly objectType: number;
  readonly rateIndex: number;
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
  return {
    objectType: (third >> 6) + 1,
    rateIndex,
    channelConfiguration: ((third & 1) << 2) | (fourth >> 6),
    frameBytes: ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5),
  };
}
