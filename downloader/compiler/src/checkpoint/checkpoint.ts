import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DataType } from './data-types.js';

/** Where a tensor lies. */
export interface TensorEntry {
  readonly type: DataType;
  readonly shape: readonly number[];
  /** The file it lies in, by its index in `files`, and where its first byte is. Row-major, little endian. */
  readonly file: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A checkpoint's table of contents. Values are read one tensor at a time, so that memory does not follow its size. */
export interface Checkpoint {
  /** Paths of the files that hold the tensors. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** OpenAI's `dims` of a Whisper .pt file. */
  readonly dims?: Readonly<Record<string, number>>;
}

/** Bytes of a table of contents (header, pickle, zip directory, index) that are read: some hundred a tensor. */
export const MAX_CONTENTS_BYTES = 16 << 20;

/** A name of a hostile file, short enough for a message. */
export function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** A file that is read by position. */
export class PositionedFile {
  readonly #descriptor: number;
  readonly sizeBytes: number;

  constructor(readonly path: string) {
    this.#descriptor = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.#descriptor).size;
  }

  /** The bytes from `offset`; fewer only where the file ends. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.sizeBytes - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(
        this.#descriptor,
        bytes,
        filled,
        Math.min(bytes.length - filled, 1 << 30),
        offset + filled,
      );
      if (count === 0) return bytes.subarray(0, filled);
      filled += count;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** torch has no tensors of weights with more axes, and messages name them all. */
export const MAX_AXES = 8;

/** Number of elements of a shape; NaN for one that is no shape. */
export function elementCount(shape: readonly number[]): number {
  if (shape.length > MAX_AXES) return Number.NaN;
  const count = shape.reduce(
    (product, size) => (Number.isSafeInteger(size) && size >= 0 ? product * size : Number.NaN),
    1,
  );
  return Number.isSafeInteger(count) ? count : Number.NaN;
}
