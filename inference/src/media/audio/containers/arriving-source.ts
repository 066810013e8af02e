import { RepeatedReads } from '@heimdex/common';
import type { InferenceError } from '../../../errors.js';
import { viewOf } from '../../bytes.js';
import { ONLY_AUDIO_ADVICE } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import { mediabunny } from './mediabunny.js';

/** Maximum size of a demuxer's read: packets, clusters and indexes are smaller; a header with a larger size is wrong. */
const READ_MAX_BYTES = 64 * 1_024 * 1_024;
/** Bytes retained before the last read: tracks are interleaved, and a demuxer rereads headers. */
const KEPT_BEHIND_BYTES = 16 * 1_024 * 1_024;

/** The result that mediabunny's readers expect: `bytes` begins at `offset` of the file and contains the range. */
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
  /** Maximum bytes retained while the demuxer looks for the index. */
  readonly openingMaxBytes: number;
  /** Error message if the index is beyond that. */
  readonly beyondOpening: string;
  /** A read across the end of the content returns the available bytes, padded with zeros. */
  readonly padLastRead?: true;
}

/**
 * A mediabunny source for a file that is still arriving: reads forward with bounded memory. Unlike the library's
 * ReadableStreamSource, it trusts no size before the bytes have arrived, and bounds the retained bytes by the reading position,
 * not by the stream position. The three methods with an underscore are the library's internal source interface, in 1.61.
 */
export class ArrivingSource extends mediabunny.Source {
  readonly #options: ArrivingSourceOptions;
  readonly #repeatedReads = new RepeatedReads();
  #parts: Part[] = [];
  #receivedBytes = 0;
  #readEnd = 0;
  #floor = 0;
  #ended = false;
  #endWasRead = false;
  #opening = true;
  #cutAt: number | undefined;
  /** The demuxer reads several tracks at once where it looks for their beginnings. */
  #waiting: Waiting[] = [];
  #starved: (() => void) | undefined;
  #disposed = false;

  constructor(options: ArrivingSourceOptions) {
    super();
    this.#options = options;
  }

  /** Whether a read waits for bytes that have not arrived. */
  get starved(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether the last read exceeded the end of the file. */
  get cut(): boolean {
    return this.#cutAt !== undefined;
  }

  /** Whether a read reached the end of the file. */
  get endWasRead(): boolean {
    return this.#endWasRead;
  }

  /** Returns whether that many bytes follow the last read. */
  async hasUnread(bytes: number): Promise<boolean> {
    return !this.#endWasRead && (await this.read(this.#readEnd, this.#readEnd + bytes)) !== null;
  }

  /** Resolves once a read waits for bytes that have not arrived. */
  async whenStarved(): Promise<void> {
    if (this.starved) return;
    await new Promise<void>((resolve) => {
      this.#starved = resolve;
    });
  }

  /** Appends the next bytes of the file. Bytes that will not be read any more are dropped. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const start = this.#receivedBytes;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > this.#floor && !this.#disposed) this.#parts.push({ start, bytes });
    this.#answer();
  }

  /** Marks the end of the file. */
  end(): void {
    this.#ended = true;
    this.#answer();
  }

  /** Marks the index as read: from now on only bytes near the reading position are retained. */
  opened(): void {
    this.#opening = false;
  }

  /** Returns the bytes from `start` to `end`; null if the file ends before. */
  async read(start: number, end: number): Promise<Uint8Array | null> {
    const result = await this._read(start, end);
    return result === null ? null : result.bytes.subarray(start - result.offset, end - result.offset);
  }

  _getFileSize(): number | null {
    // The size is reported only once the end was read, so that the result does not depend on the chunk sizes.
    return this.#endWasRead ? this.#receivedBytes : null;
  }

  _read(start: number, end: number): ReadResult | null | Promise<ReadResult | null> {
    if (end - start > READ_MAX_BYTES) {
      throw unusable(`a header claims ${end - start} bytes, more than the maximum of ${READ_MAX_BYTES}`);
    }
    // A packet of which a damaged list has no size: it would be waited for up to the end of the file.
    if (Number.isNaN(end)) return null;
    if (this.#repeatedReads.isStuck(start)) return null;
    if (this.#opening && start > this.#options.openingMaxBytes) throw unusable(this.#options.beyondOpening);
    if (!this.#opening) this.#release(start - KEPT_BEHIND_BYTES);
    if (start < this.#floor) {
      throw unusable(
        `its audio is not in chronological order and cannot be read as it arrives. Write it with \`-movflags +faststart\`, ${ONLY_AUDIO_ADVICE}`,
      );
    }
    this.#readEnd = Math.max(this.#readEnd, end);
    if (end <= this.#receivedBytes) return this.#gather(start, end);
    if (this.#ended) return this.#atEnd(start, end);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ start, end, resolve, reject });
      this.#starved?.();
      this.#starved = undefined;
    });
  }

  _dispose(): void {
    this.#disposed = true;
    this.#parts = [];
    for (const { reject } of this.#waiting) reject(new Error('The source was closed.'));
    this.#waiting = [];
  }

  #answer(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const read of waiting) {
      const { start, end, resolve } = read;
      if (end <= this.#receivedBytes) resolve(this.#gather(start, end));
      else if (this.#ended) resolve(this.#atEnd(start, end));
      else this.#waiting.push(read);
    }
  }

  #atEnd(start: number, end: number): ReadResult | null {
    this.#endWasRead = true;
    // The caller checks the end itself.
    if (start !== this.#receivedBytes) this.#cutAt = start;
    if (start >= this.#receivedBytes) return null;
    // The reader repeats a range that may be shorter at the same position, now that the size is known.
    if (this.#options.padLastRead !== true || end - start <= MAY_BE_SHORTER_BYTES) return null;
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
      if (part === undefined) throw new Error(`Bytes ${position} to ${end} are not retained.`);
      const chunk = part.bytes.subarray(position - part.start, end - part.start);
      bytes.set(chunk, position - start);
      position += chunk.length;
    }
    return { bytes, view: viewOf(bytes), offset: start };
  }

  /** Returns the index of the part with a position, by binary search. */
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

/** A demuxer's reads up to this size, which look for a header, may return fewer bytes at the end. */
const MAY_BE_SHORTER_BYTES = 64;

function unusable(reason: string): InferenceError {
  return audioUnreadable(`The audio cannot be read: ${reason}.`);
}
