import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { MIB, throwNamed } from '@heimdex/common';
import { CompilerError } from '../errors.js';
import type { DataType } from './data-types.js';

/** Location of a tensor. */
export interface TensorEntry {
  readonly type: DataType;
  readonly shape: readonly number[];
  /** Index of its file in `files`, and offset of its first byte. Row-major unless `transposed`, little endian. */
  readonly file: number;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Whether the elements of a matrix are stored column by column. */
  readonly transposed?: boolean;
}

/** A checkpoint's table of contents. Values are read one tensor at a time, so that memory does not depend on its size. */
export interface Checkpoint {
  /** Paths of the files with the tensors. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** OpenAI's `dims` of a Whisper .pt file. */
  readonly dims?: Readonly<Record<string, number>>;
}

/**
 * Maximum bytes of a table of contents (header, pickle, zip directory, index): some hundred per tensor, of which large models have
 * thousands. Parsed JSON may take fifty times as much memory.
 */
export const MAX_CONTENTS_BYTES = 4 * MIB;

/** Truncates a name from an untrusted file for a message. */
export function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** How a pointer of Git LFS begins: what a clone has in the place of a file that was not fetched. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/';

/** A file with random access. */
export class PositionedFile {
  readonly #descriptor: number;
  readonly sizeBytes: number;

  constructor(readonly path: string) {
    this.#descriptor = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.#descriptor).size;
    if (this.read(0, LFS_POINTER.length).toString('latin1') !== LFS_POINTER) return;
    this.close();
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(path)} to be weights, got a pointer of Git LFS. In the clone that it comes from, run: git lfs pull`,
    );
  }

  /** Reads the bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.sizeBytes - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = this.#readInto(bytes, filled, offset + filled);
      if (count === 0) return bytes.subarray(0, filled);
      filled += count;
    }
    return bytes;
  }

  #readInto(bytes: Buffer, filled: number, position: number): number {
    try {
      return readSync(this.#descriptor, bytes, filled, Math.min(bytes.length - filled, 1 << 30), position);
    } catch (error) {
      return throwNamed(this.path, error);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** torch has no weights with more axes, and messages list them all. */
export const MAX_AXES = 8;

/** Returns the number of elements of a shape; NaN for an invalid one. */
export function elementCount(shape: readonly number[]): number {
  if (shape.length > MAX_AXES) return Number.NaN;
  const count = shape.reduce(
    (product, size) => (Number.isSafeInteger(size) && size >= 0 ? product * size : Number.NaN),
    1,
  );
  return Number.isSafeInteger(count) ? count : Number.NaN;
}
