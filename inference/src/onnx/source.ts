import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { KIB, throwNamed } from '@heimdex/common';
import type { ByteSource } from '@heimdex/onnx';

/** Creates a source of bytes in memory. */
export function memorySource(content: Uint8Array): ByteSource {
  // The parser relies on slice() to copy; a Buffer's slice() returns a view.
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  return {
    sizeBytes: bytes.length,
    bytes: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

const WINDOW_BYTES = 256 * KIB;

/**
 * Runs `use` with a file, read in windows of 256 KiB. Skipped data is not read: the facts of a 500 MB graph take a few
 * milliseconds. Blocks meanwhile: for workers and startup only. Throws file system errors.
 */
export function withFileSource<T>(path: string, use: (source: ByteSource) => T): T {
  const file = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(file).size;
    let window: Uint8Array = new Uint8Array(0);
    let windowStart = 0;
    const readNamed = (bytes: Uint8Array, offset: number): number => {
      try {
        return readSync(file, bytes, 0, bytes.length, offset);
      } catch (error) {
        return throwNamed(path, error);
      }
    };
    const read = (offset: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const count = readNamed(bytes.subarray(filled), offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    };
    return use({
      sizeBytes,
      bytes(offset, length) {
        if (length > WINDOW_BYTES) return read(offset, length);
        if (offset < windowStart || offset + length > windowStart + window.length) {
          windowStart = offset;
          window = read(offset, Math.min(WINDOW_BYTES, Math.max(0, sizeBytes - offset)));
        }
        return window.subarray(offset - windowStart, offset - windowStart + length);
      },
    });
  } finally {
    closeSync(file);
  }
}
