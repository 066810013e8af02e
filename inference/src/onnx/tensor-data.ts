import { closeSync, openSync } from 'node:fs';
import { type ReadTensor, readInline } from './overflow-safe-weights.js';
import { readFrom } from './source.js';

/**
 * Runs `use` with a reader of the constants of the model parsed from the file at `path`. Blocks. Throws file system errors.
 */
export function withTensorsOf<T>(path: string, use: (read: ReadTensor) => T): T {
  const file = openSync(path, 'r');
  try {
    return use((tensor) => {
      if (tensor.data?.kind !== 'range') return readInline(tensor);
      const bytes = new Uint8Array(tensor.data.length);
      const count = readFrom(file, path, bytes, 0, tensor.data.offset);
      return count === bytes.length ? bytes : undefined;
    });
  } finally {
    closeSync(file);
  }
}
