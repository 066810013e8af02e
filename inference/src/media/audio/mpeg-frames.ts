import { ADTS_HEADER_BYTES, readAdtsHeader } from './adts.js';

export const MPEG_HEADER_BYTES = 4;
/** Maximum offset of the first frame: some writers put zeros before it. */
const SEARCH_BYTES = 2_048;
/** Consecutive frames required for detection: sync bits alone occur in any data. */
export const FRAMES_IN_A_ROW = 3;
/** Bytes that have that many headers, if a frame begins at the first: the longest has 2,881 bytes. */
export const FRAMES_IN_A_ROW_BYTES = 2 * 2_881 + 4;
/** The longest frame of ADTS, and consecutive ones required behind a part of one. */
const ADTS_SEARCH_BYTES = 8_191;
const ADTS_IN_A_ROW = 5;

/** Bit rates in kbit/s by bit rate index, per version and layer (ISO 11172-3, 13818-3). */
const V1_LAYER1 = [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const V1_LAYER2 = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const V1_LAYER3 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const V2_LAYER1 = [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const V2_LAYER2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const V1_RATES_HZ = [44_100, 48_000, 32_000];

/** Returns whether consecutive MPEG audio frames are near the beginning, or begin within `searchBytes`. */
export function hasMpegFrames(bytes: Uint8Array, searchBytes = SEARCH_BYTES): boolean {
  return findMpegFrames(bytes, true, searchBytes) !== undefined;
}

/** Returns where consecutive MPEG audio frames begin, within `searchBytes`. `complete`: the end of the bytes counts as a frame. */
export function findMpegFrames(bytes: Uint8Array, complete: boolean, searchBytes = bytes.length): number | undefined {
  const last = Math.min(searchBytes, bytes.length - 4);
  for (let offset = 0; offset <= last; offset++) {
    if (bytes[offset] === 0xff && framesFollow(bytes, offset, complete)) return offset;
  }
  return undefined;
}

/** Returns whether this is AAC in ADTS frames: the same sync word with layer 0, followed by another frame. */
export function isAdts(bytes: Uint8Array): boolean {
  return adtsLength(bytes) !== undefined;
}

/** Returns the length in bytes of a frame that another one, or the end of the bytes, follows; undefined if there is none. */
function adtsLength(bytes: Uint8Array): number | undefined {
  const length = readAdtsHeader(bytes)?.frameBytes ?? 0;
  if (length <= ADTS_HEADER_BYTES) return undefined;
  const next = bytes.subarray(length, length + 2);
  return next.length < 2 || (next[0] === 0xff && ((next[1] ?? 0) & 0xf6) === 0xf0) ? length : undefined;
}

/** Returns whether consecutive ADTS frames are near the beginning, behind a part of one. */
export function hasAdtsFrames(bytes: Uint8Array): boolean {
  for (let offset = 0; offset < ADTS_SEARCH_BYTES && offset < bytes.length; offset++) {
    let at = offset;
    let frames = 0;
    while (frames < ADTS_IN_A_ROW) {
      const length = adtsLength(bytes.subarray(at));
      if (length === undefined) break;
      frames += 1;
      at += length;
      // The end of the bytes after complete frames counts as a frame.
      if (at + 7 > bytes.length && frames >= FRAMES_IN_A_ROW) return true;
    }
    if (frames === ADTS_IN_A_ROW) return true;
  }
  return false;
}

function framesFollow(bytes: Uint8Array, start: number, complete: boolean): boolean {
  let offset = start;
  for (let count = 0; count < FRAMES_IN_A_ROW; count++) {
    if (count > 0 && offset + 4 > bytes.length) return complete;
    const length = frameLength(bytes, offset);
    if (length === undefined) return false;
    offset += length;
  }
  return true;
}

/** Returns a key of the properties that need a new decoder: sample rate and mono or stereo. Expects a valid 4-byte header. */
export function frameFormat(header: Uint8Array): string {
  const [, second = 0, third = 0, fourth = 0] = header;
  const version = (second >> 3) & 3;
  return `${version}/${(third >> 2) & 3}/${fourth >> 6 === 3 ? 1 : 2}`;
}

/** Returns the length in bytes of the frame at `offset`; undefined if there is none. */
export function frameLength(bytes: Uint8Array, offset: number): number | undefined {
  const [first = 0, second = 0, third = 0] = bytes.subarray(offset, offset + 3);
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return undefined;
  const version = (second >> 3) & 3;
  const layer = 4 - ((second >> 1) & 3);
  const rateIndex = (third >> 2) & 3;
  const bitRateIndex = third >> 4;
  if (version === 1 || layer === 4 || rateIndex === 3 || bitRateIndex === 0 || bitRateIndex === 15) return undefined;
  const first1 = version === 3;
  const table = first1 ? [V1_LAYER1, V1_LAYER2, V1_LAYER3][layer - 1] : [V2_LAYER1, V2_LAYER2, V2_LAYER2][layer - 1];
  const bitsPerSecond = (table?.[bitRateIndex] ?? 0) * 1_000;
  const rateHz = (V1_RATES_HZ[rateIndex] ?? 1) / (first1 ? 1 : version === 2 ? 2 : 4);
  const padding = (third >> 1) & 1;
  if (layer === 1) return (Math.floor((12 * bitsPerSecond) / rateHz) + padding) * 4;
  const perByte = layer === 3 && !first1 ? 72 : 144;
  return Math.floor((perByte * bitsPerSecond) / rateHz) + padding;
}
