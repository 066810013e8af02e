import { MIB } from '@heimdex/common';
import { joinAll, joinBytes } from '../../bytes.js';
import { ADTS_HEADER_BYTES, readAdtsHeader } from '../adts.js';
import { frameLength, MPEG_HEADER_BYTES } from '../mpeg-frames.js';
import { TAG_HEADER_BYTES, tagLength } from '../tags.js';

/** Returns the length in bytes of the frame at `offset`; undefined: there is none; null: more bytes are needed. */
export type FrameLengthAt = (bytes: Uint8Array, offset: number) => number | undefined | null;

/** Removes damage from a container before the demuxer, which would stop at it. */
export interface Resync {
  /** Bytes of damage so far. */
  readonly droppedBytes: number;
  /** For the caller, of what it left out. */
  readonly warnings?: readonly string[];
  /** Adds bytes and returns those that are decided about. */
  push(chunk: Uint8Array): Uint8Array;
  /** Returns the rest at the end. */
  end(): Uint8Array;
}

/**
 * Passes complete frames of a stream of frames and drops bytes between them, at which the demuxer would stop. After dropped
 * bytes, a frame is accepted only if another follows it.
 */
export class FrameResync implements Resync {
  #held: Uint8Array = new Uint8Array(0);
  #inStep = false;
  #begun = false;
  #droppedBytes = 0;

  /** `tagLengthAt`: length of a tag between frames, which is no damage. */
  constructor(
    private readonly lengthAt: FrameLengthAt,
    private readonly tagLengthAt: FrameLengthAt = () => undefined,
  ) {}

  /** Number of dropped bytes between frames, without those before the first. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** Adds bytes and returns the complete frames, as a copy: the caller's bytes stay as they are where these are changed. */
  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#held.length === 0 ? chunk : joinBytes(this.#held, chunk);
    const frames: Uint8Array[] = [];
    let offset = 0;
    let from = 0;
    while (offset < bytes.length) {
      const length = this.#wholeAt(bytes, offset);
      if (length === null) break;
      if (length !== undefined) {
        offset += length;
        this.#inStep = true;
        this.#begun = true;
        continue;
      }
      const tagLength = this.tagLengthAt(bytes, offset);
      if (tagLength === null) break;
      if (from < offset) frames.push(bytes.subarray(from, offset));
      offset += tagLength ?? 1;
      from = offset;
      this.#inStep = false;
      if (this.#begun && tagLength === undefined) this.#droppedBytes += 1;
    }
    if (from < offset) frames.push(bytes.subarray(from, offset));
    this.#held = bytes.slice(offset);
    return joinAll(frames);
  }

  /** Returns the rest at the end: an incomplete frame. */
  end(): Uint8Array {
    const rest = this.#held;
    this.#held = new Uint8Array(0);
    return rest;
  }

  #wholeAt(bytes: Uint8Array, offset: number): number | undefined | null {
    const length = this.lengthAt(bytes, offset);
    if (length === undefined || length === null) return length;
    if (offset + length > bytes.length) return null;
    if (this.#inStep) return length;
    const next = offset + length < bytes.length ? this.lengthAt(bytes, offset + length) : null;
    return typeof next === 'number' ? length : next;
  }
}

/** Frames of ADTS (ISO 13818-7) with one block of samples: the demuxer ends at others, which no encoder writes. */
export const adtsLengthAt: FrameLengthAt = (bytes, offset) => {
  if (bytes[offset] !== 0xff) return undefined;
  if (offset + ADTS_HEADER_BYTES > bytes.length) return null;
  if (((bytes[offset + 6] ?? 0) & 3) !== 0) return undefined;
  const length = readAdtsHeader(bytes, offset)?.frameBytes ?? 0;
  return length > ADTS_HEADER_BYTES ? length : undefined;
};

/** Frames of MPEG audio, layers 1 to 3 (ISO 11172-3, 13818-3). */
export const mpegLengthAt: FrameLengthAt = (bytes, offset) => {
  if (bytes[offset] !== 0xff) return undefined;
  return offset + MPEG_HEADER_BYTES > bytes.length ? null : frameLength(bytes, offset);
};

/** Longer tags between frames are taken for damage. */
const TAG_MAX_BYTES = MIB;

/** Tags: each segment of HLS has one of ID3, and they may be concatenated. */
export const tagLengthAt: FrameLengthAt = (bytes, offset) => {
  const length = tagLength(bytes.subarray(offset, offset + TAG_HEADER_BYTES));
  if (length === 0 || (length ?? 0) > TAG_MAX_BYTES) return undefined;
  return length === null || offset + length > bytes.length ? null : length;
};

const SYNC = 0x47;

/** Packets of MPEG-TS: `first` bytes before the sync byte, `stride` from packet to packet. */
export function transportLengthAt(first: number, stride: number): FrameLengthAt {
  return (bytes, offset) => {
    if (offset + first >= bytes.length) return null;
    return bytes[offset + first] === SYNC ? stride : undefined;
  };
}
