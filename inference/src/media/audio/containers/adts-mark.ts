import { ADTS_HEADER_BYTES, MARKED_CHANNELS } from '../adts.js';
import { adtsLengthAt, FrameResync, type Resync, tagLengthAt } from './frame-resync.js';

/** The bits of a header's last byte that count the blocks of samples after the first. */
const BLOCKS = 3;

/**
 * Marks the headers of an ADTS stream whose frames list their channels themselves (channel configuration 0), which the demuxer
 * refuses: it reads one channel, and the decoder knows the mark. After a frame with one block, others that claim more are damaged: they
 * get one, for the demuxer would end. Bytes come in pieces of any size, and are changed in place.
 */
export class AdtsMark {
  /** The bytes of the current header so far, and those left of the frame after it. */
  #header: number[] = [];
  #left = 0;
  #hasOneBlock = false;

  mark(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
      } else {
        bytes[at] = this.#enter(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  /** Takes a byte of a header, or of damage before the next; returns it, marked where it has the channels. */
  #enter(byte: number): number {
    const header = this.#header;
    header.push(byte);
    const [first, second = 0xf0, third = 0, fourth = 0, fifth = 0, sixth = 0] = header;
    if (first !== 0xff || (second & 0xf6) !== 0xf0) {
      this.#header = byte === 0xff ? [byte] : [];
      return byte;
    }
    if (header.length === ADTS_HEADER_BYTES) {
      const length = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5);
      this.#header = [];
      this.#left = Math.max(0, length - ADTS_HEADER_BYTES);
      this.#hasOneBlock ||= (byte & BLOCKS) === 0;
      return this.#hasOneBlock ? byte & ~BLOCKS : byte;
    }
    const unlisted = header.length === 4 && (third & 1) === 0 && byte >> 6 === 0;
    return unlisted ? (byte & 3) | MARKED_CHANNELS : byte;
  }
}

/** Removes damage between the frames of ADTS, and marks those that list their channels themselves. */
export class AdtsResync implements Resync {
  readonly #frames = new FrameResync(adtsLengthAt, tagLengthAt);
  readonly #mark = new AdtsMark();

  get droppedBytes(): number {
    return this.#frames.droppedBytes;
  }

  push(chunk: Uint8Array): Uint8Array {
    return this.#marked(this.#frames.push(chunk));
  }

  end(): Uint8Array {
    return this.#marked(this.#frames.end());
  }

  #marked(frames: Uint8Array): Uint8Array {
    this.#mark.mark(frames);
    return frames;
  }
}
