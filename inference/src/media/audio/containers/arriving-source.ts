import { Source } from 'mediabunny';
import { InferenceError } from '../../../errors.js';

/** One read of a demuxer is never larger: packets, clusters and indexes are not; a header that says so lies. */
const READ_MAX_BYTES = 64 * 1_024 * 1_024;
/** Kept behind what was read last: tracks lie beside each other, and a demuxer goes back to a header it has seen. */
const KEPT_BEHIND_BYTES = 16 * 1_024 * 1_024;

/** As mediabunny's readers expect it: the wanted range lies in `bytes`, which begins at `offset` of the file. */
interface ReadResult {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
}

interface Waiting {
  readonly start: number;
  readonly end: number;
  readonly resolve: (result: ReadResult | null) => void;
  readonly reject: (error: unknown) => void;
}

interface Part {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export interface ArrivingSourceOptions {
  /** While the index is looked for, everything is kept, up to here. */
  readonly openingMaxBytes: number;
  /** What is said where the index lies beyond. */
  readonly beyondOpening: string;
  /** A read that begins before the end of the content and goes beyond it is given what is there, and zeros. */
  readonly padLastRead: boolean;
}

/**
 * A file as mediabunny reads it, while it arrives: forward, within bounds, and without holding what lies between. Unlike the
 * library's ReadableStreamSource it believes no size before it is there, and bounds what is kept by where is read, not by
 * where the stream is. The three methods with an underscore are the library's own interface of a source, in 1.61.
 */
export class ArrivingSource extends Source {
  readonly #options: ArrivingSourceOptions;
  #parts: Part[] = [];
  #receivedBytes = 0;
  #readEnd = 0;
  #floor = 0;
  #ended = false;
  #endWasRead = false;
  #opening = true;
  #cutAt: number | undefined;
  #waiting: Waiting | undefined;
  #starved: (() => void) | undefined;
  #disposed = false;

  constructor(options: ArrivingSourceOptions) {
    super();
    this.#options = options;
  }

  /** A read waits for bytes that have not come. */
  get starved(): boolean {
    return this.#waiting !== undefined;
  }

  /** What was read last promised more than the file holds. */
  get cut(): boolean {
    return this.#cutAt !== undefined;
  }

  /** A read met the end of the file. */
  get endWasRead(): boolean {
    return this.#endWasRead;
  }

  /** Whether so many bytes follow what was read. */
  async hasUnread(bytes: number): Promise<boolean> {
    return !this.#endWasRead && (await this.read(this.#readEnd, this.#readEnd + bytes)) !== null;
  }

  /** Resolves once a read waits for bytes that have not come. */
  async whenStarved(): Promise<void> {
    if (this.#waiting !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#starved = resolve;
    });
  }

  /** What comes next in the file. Bytes nobody will read any more are not kept. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const start = this.#receivedBytes;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > this.#floor && !this.#disposed) this.#parts.push({ start, bytes });
    this.#answer();
  }

  /** Nothing follows. */
  end(): void {
    this.#ended = true;
    this.#answer();
  }

  /** The index is known: from here on only what lies near the reading position is kept. */
  opened(): void {
    this.#opening = false;
  }

  /** The bytes from `start` to `end`; null where the file ends before. */
  async read(start: number, end: number): Promise<Uint8Array | null> {
    const result = await this._read(start, end);
    return result === null ? null : result.bytes.subarray(start - result.offset, end - result.offset);
  }

  _getFileSize(): number | null {
    // Known only once the end was met, so that a file is read in the same way whatever the chunks it comes in.
    return this.#endWasRead ? this.#receivedBytes : null;
  }

  _read(start: number, end: number): ReadResult | null | Promise<ReadResult | null> {
    if (end - start > READ_MAX_BYTES) {
      throw unusable(
        `a header in it claims a part of ${end - start} bytes, more than ${READ_MAX_BYTES} are not believed`,
      );
    }
    if (this.#opening && start > this.#options.openingMaxBytes) throw unusable(this.#options.beyondOpening);
    if (!this.#opening) this.#release(start - KEPT_BEHIND_BYTES);
    if (start < this.#floor) {
      throw unusable(
        'its audio is not in the order of time, so it cannot be read as it arrives. Write it with `-movflags +faststart`, or ' +
          'let the client read the file: it sends the audio track alone',
      );
    }
    this.#readEnd = Math.max(this.#readEnd, end);
    if (end <= this.#receivedBytes) return this.#gather(start, end);
    if (this.#ended) return this.#atEnd(start, end);
    return new Promise((resolve, reject) => {
      this.#waiting = { start, end, resolve, reject };
      this.#starved?.();
      this.#starved = undefined;
    });
  }

  _dispose(): void {
    this.#disposed = true;
    this.#parts = [];
    this.#waiting?.reject(new Error('The source was closed.'));
    this.#waiting = undefined;
  }

  #answer(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || (!this.#ended && waiting.end > this.#receivedBytes)) return;
    this.#waiting = undefined;
    const whole = waiting.end <= this.#receivedBytes;
    waiting.resolve(whole ? this.#gather(waiting.start, waiting.end) : this.#atEnd(waiting.start, waiting.end));
  }

  #atEnd(start: number, end: number): ReadResult | null {
    this.#endWasRead = true;
    // Whoever looks for what comes next looks at the end itself.
    if (start !== this.#receivedBytes) this.#cutAt = start;
    if (start >= this.#receivedBytes) return null;
    // A range that may be shorter is asked for again, at the same place, now that the size is known.
    if (!this.#options.padLastRead || end - start <= MAY_BE_SHORTER_BYTES) return null;
    const bytes = new Uint8Array(end - start);
    const there = this.#gather(start, this.#receivedBytes);
    bytes.set(there.bytes.subarray(start - there.offset, this.#receivedBytes - there.offset));
    this.#cutAt = start;
    return { bytes, view: viewOf(bytes), offset: start };
  }

  #release(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    const kept = this.#parts.findIndex((part) => part.start + part.bytes.length > floor);
    if (kept === -1) this.#parts = [];
    else if (kept > 0) this.#parts.splice(0, kept);
  }

  #gather(start: number, end: number): ReadResult {
    if (this.#cutAt === start) this.#cutAt = undefined;
    let index = this.#partAt(start);
    const first = this.#parts[index];
    if (first !== undefined && end <= first.start + first.bytes.length) {
      return { bytes: first.bytes, view: viewOf(first.bytes), offset: first.start };
    }
    const bytes = new Uint8Array(end - start);
    for (let position = start; position < end; index++) {
      const part = this.#parts[index];
      if (part === undefined) throw new Error(`Bytes ${position} to ${end} are not kept.`);
      const chunk = part.bytes.subarray(position - part.start, end - part.start);
      bytes.set(chunk, position - start);
      position += chunk.length;
    }
    return { bytes, view: viewOf(bytes), offset: start };
  }

  /** Index of the part that holds a position, by halving. */
  #partAt(position: number): number {
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#parts[middle]?.start ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Reads of a demuxer that look for a header take fewer bytes where fewer are left. */
const MAY_BE_SHORTER_BYTES = 64;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unusable(reason: string): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', `The audio cannot be read: ${reason}.`);
}
