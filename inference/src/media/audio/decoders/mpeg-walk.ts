import { frameFormat, frameLength } from '../mpeg-frames.js';

const HEADER_BYTES = 4;
const ID3_BYTES = 10;
/** Frames in a row that make it certain: sync bits alone turn up in any data. */
const FRAMES_IN_A_ROW = 3;
/** Of the first frame, what may hold an encoder's note of how many frames follow. */
const NOTE_BYTES = 64;
/** Fewer frames than an encoder noted by this part are missing; some notes are off by a frame or two. */
const MISSING_PART = 0.01;
const MISSING_FRAMES = 3;

/**
 * Goes from frame to frame of MPEG audio that comes in chunks, before the decoder, which does not say what it lacks: whether
 * the last frame is whole, whether as many came as the encoder noted ("Xing" or "Info" in the first one), and where a frame
 * of another rate begins, as in files that were joined.
 */
export class MpegWalk {
  #header: number[] = [];
  #first: number[] = [];
  #skip = 0;
  #inARow = 0;
  #frames = 0;
  #format: string | undefined;
  #position = 0;
  #changes: number[] = [];

  /** Bytes at the end of what came that may be the beginning of a header: what they belong to is not known. */
  get undecidedBytes(): number {
    return this.#header.length;
  }

  /** Where in the content frames of another rate begin, of those that came whole with this chunk. */
  push(chunk: Uint8Array): readonly number[] {
    this.#changes = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, chunk.length - at);
        if (this.#frames === 1 && this.#first.length < NOTE_BYTES) {
          this.#first.push(...chunk.subarray(at, at + Math.min(count, NOTE_BYTES - this.#first.length)));
        }
        this.#skip -= count;
        this.#position += count;
        at += count;
      } else {
        this.#header.push(chunk[at] ?? 0);
        this.#position += 1;
        at += 1;
        this.#look();
      }
    }
    return this.#changes;
  }

  /** What is missing at the end, now that nothing follows; undefined when nothing is or when it cannot be told. */
  missing(): string | undefined {
    if (this.#inARow < FRAMES_IN_A_ROW) return undefined;
    const noted = this.#notedFrames();
    // The frame with the note holds no sound and is not counted.
    const came = this.#frames - 1 - (this.#skip > 0 ? 1 : 0);
    if (noted !== undefined && noted - came > Math.max(MISSING_FRAMES, noted * MISSING_PART)) {
      return `The MP3 is cut: ${came} of ${noted} frames are there.`;
    }
    return this.#skip > 0 ? 'The MP3 is cut in its last frame.' : undefined;
  }

  #look(): void {
    const header = this.#header;
    if (header.length <= ID3_BYTES && startsLikeId3(header)) {
      if (header.length < ID3_BYTES) return;
      const [size3 = 0, size2 = 0, size1 = 0, size0 = 0] = header.slice(6);
      // Seven bits a byte; a flag says that the header stands at the end once more.
      this.#skip = ((size3 << 21) | (size2 << 14) | (size1 << 7) | size0) + ((header[5] ?? 0) & 0x10 ? ID3_BYTES : 0);
      this.#header = [];
      return;
    }
    if (header.length < HEADER_BYTES) return;
    const length = frameLength(Uint8Array.from(header), 0);
    if (length === undefined || length <= HEADER_BYTES) {
      header.shift();
      this.#inARow = 0;
      return;
    }
    this.#noteFormat(frameFormat(Uint8Array.from(header)));
    this.#frames += 1;
    this.#inARow += 1;
    this.#skip = length - HEADER_BYTES;
    this.#header = [];
  }

  /** After a frame, the next header is certain; elsewhere, only once another frame follows. */
  #noteFormat(format: string): void {
    if (format === this.#format) return;
    const certain = this.#format === undefined || this.#inARow > 0;
    if (!certain) return;
    if (this.#format !== undefined) this.#changes.push(this.#position - HEADER_BYTES);
    this.#format = format;
  }

  /** The encoder's note stands behind the side information, whose length depends on version and channels. */
  #notedFrames(): number | undefined {
    const bytes = Buffer.from(this.#first);
    for (const name of ['Xing', 'Info']) {
      const at = bytes.indexOf(name, 0, 'latin1');
      if (at < 0 || at + 12 > bytes.length || (bytes.readUInt32BE(at + 4) & 1) === 0) continue;
      return bytes.readUInt32BE(at + 8);
    }
    return undefined;
  }
}

function startsLikeId3(bytes: readonly number[]): boolean {
  return [0x49, 0x44, 0x33].every((letter, index) => index >= bytes.length || bytes[index] === letter);
}
