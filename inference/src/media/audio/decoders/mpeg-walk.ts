import { FRAMES_IN_A_ROW, frameFormat, frameLength, MPEG_HEADER_BYTES } from '../mpeg-frames.js';

/** Bytes of the first frame that may contain a Xing header with the number of frames. */
const NOTE_BYTES = 64;
/** Fewer frames than declared by this fraction are reported as missing; some encoders are off by a frame or two. */
const MISSING_FRACTION = 0.01;
const MISSING_FRAMES = 3;

/**
 * Parses the headers of the frames that FrameResync passes, before the decoder, which reports nothing missing: whether the last frame is
 * complete, whether the number of frames matches the encoder's header ("Xing" or "Info" in the first frame), and where frames of
 * another rate begin, as in concatenated files.
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

  /** Bytes at the end of the input that may be an incomplete header. */
  get undecidedBytes(): number {
    return this.#header.length;
  }

  /** Adds a chunk and returns the offsets in the content at which frames of another rate begin. */
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
        this.#readHeader();
      }
    }
    return this.#changes;
  }

  /** Returns a warning about missing data at the end; undefined if there is none, or if unknown. */
  missing(): string | undefined {
    if (this.#inARow < FRAMES_IN_A_ROW) return undefined;
    const declared = this.#declaredFrames();
    // The frame with the Xing header has no audio and is not counted.
    const received = this.#frames - 1 - (this.#skip > 0 ? 1 : 0);
    if (declared !== undefined && declared - received > Math.max(MISSING_FRAMES, declared * MISSING_FRACTION)) {
      return `The MP3 is truncated: ${received} of ${declared} frames were received.`;
    }
    return this.#skip > 0 ? 'The MP3 is truncated in its last frame.' : undefined;
  }

  #readHeader(): void {
    const header = this.#header;
    if (header.length < MPEG_HEADER_BYTES) return;
    const bytes = Uint8Array.from(header);
    const length = frameLength(bytes, 0);
    if (length === undefined || length <= MPEG_HEADER_BYTES) {
      header.shift();
      this.#inARow = 0;
      return;
    }
    this.#noteFormat(frameFormat(bytes));
    this.#frames += 1;
    this.#inARow += 1;
    this.#skip = length - MPEG_HEADER_BYTES;
    this.#header = [];
  }

  /** After a frame, a header is accepted; elsewhere, only if another frame follows. */
  #noteFormat(format: string): void {
    if (format === this.#format) return;
    const certain = this.#format === undefined || this.#inARow > 0;
    if (!certain) return;
    if (this.#format !== undefined) this.#changes.push(this.#position - MPEG_HEADER_BYTES);
    this.#format = format;
  }

  /** The Xing header is after the side information, whose length depends on version and channels. */
  #declaredFrames(): number | undefined {
    const bytes = Buffer.from(this.#first);
    for (const name of ['Xing', 'Info']) {
      const at = bytes.indexOf(name, 0, 'latin1');
      if (at < 0 || at + 12 > bytes.length || (bytes.readUInt32BE(at + 4) & 1) === 0) continue;
      return bytes.readUInt32BE(at + 8);
    }
    return undefined;
  }
}
