/** Splits a stream of FLAC (RFC 9639) into its frames, by their checksums: damage loses the frames that it touches, and no other. */

import { crcTable } from './crc.js';

/** A frame of which header and body are whole. */
export interface FlacFrame {
  readonly bytes: Uint8Array;
  /** Position of its first sample in the stream. */
  readonly position: number;
  /** Bytes of no whole frame were before it. */
  readonly afterDamage: boolean;
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

/** What may be a frame: it is one if its checksum is right where another begins. */
interface Start {
  readonly at: number;
  readonly header: Header;
  crc: number;
  /** Last offset at which the checksum became right. */
  rightAt: number;
}

export class FlacFrames {
  /** Grown and moved by halves: what may be a frame of megabytes arrives in chunks of 1 KiB. */
  #buffer = new Uint8Array(0);
  #length = 0;
  /** Offset of the first byte that was not examined. */
  #at = 0;
  #starts: Start[] = [];
  #damaged = false;

  /** Returns the frames that are complete: the next one has begun. `blockSamples`: the samples of a block, if they do not vary. */
  push(bytes: Uint8Array, blockSamples: number): readonly FlacFrame[] {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
    return this.#examine(length - HEADER_MAX_BYTES, blockSamples);
  }

  /** Returns the last frames. What follows the last one, as a tag, does not belong to it. */
  finish(blockSamples: number): readonly FlacFrame[] {
    const frames = this.#examine(this.#length, blockSamples);
    const last = this.#starts.find(({ rightAt }) => rightAt > 0);
    return last === undefined ? frames : [...frames, this.#frame(last, last.rightAt, blockSamples)];
  }

  #examine(end: number, blockSamples: number): FlacFrame[] {
    const bytes = this.#buffer.subarray(0, this.#length);
    const frames: FlacFrame[] = [];
    for (; this.#at < end; this.#at++) {
      const header = bytes[this.#at] === SYNC ? headerAt(bytes, this.#at) : undefined;
      if (header !== undefined) {
        const whole = this.#starts.find(({ crc }) => crc === 0);
        if (whole !== undefined) frames.push(this.#frame(whole, this.#at, blockSamples));
        const kept = whole === undefined ? this.#starts.slice(-STARTS_MAX) : [];
        this.#starts = [...kept, { at: this.#at, header, crc: 0, rightAt: 0 }];
      }
      const byte = bytes[this.#at] ?? 0;
      for (const start of this.#starts) {
        const crc = ((start.crc << 8) ^ (CRC_16[(start.crc >>> 8) ^ byte] ?? 0)) & 0xffff;
        if (crc === 0 && start.crc !== 0) start.rightAt = this.#at + 1;
        start.crc = crc;
      }
    }
    this.#forget();
    return frames;
  }

  #frame({ at, header }: Start, end: number, blockSamples: number): FlacFrame {
    const { number, varies } = header;
    const afterDamage = this.#damaged || at !== this.#starts[0]?.at;
    this.#damaged = false;
    return { bytes: this.#buffer.slice(at, end), position: varies ? number : number * blockSamples, afterDamage };
  }

  /** Drops what is before the first start, and a start that is too far back. */
  #forget(): void {
    const starts = this.#starts.filter(({ at }) => this.#at - at <= FRAME_MAX_BYTES);
    const from = starts[0]?.at ?? this.#at;
    this.#damaged ||= starts.length < this.#starts.length;
    this.#starts = starts;
    if (2 * from < this.#length) return;
    this.#starts = starts.map((start) => ({
      ...start,
      at: start.at - from,
      rightAt: Math.max(0, start.rightAt - from),
    }));
    this.#buffer.copyWithin(0, from, this.#length);
    this.#length -= from;
    this.#at -= from;
  }
}

const SYNC = 0xff;
/** The largest frame has 65,535 samples of 8 channels in 32 bits. */
const FRAME_MAX_BYTES = 65_535 * 8 * 4 + 1_024;
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
