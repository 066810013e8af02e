import { type ReadTensor, readInline } from './overflow-safe-weights.js';
import { withFileSource } from './source.js';

/** Runs `use` with a reader of the constants of the model parsed from the file at `path`. Blocks. Throws file system errors. */
export function withTensorsOf<T>(path: string, use: (read: ReadTensor) => T): T {
  return withFileSource(path, (source) =>
    use((tensor) => {
      const { data } = tensor;
      if (data?.kind !== 'range') return readInline(tensor);
      const bytes = source.bytes(data.offset, data.length);
      return bytes.length === data.length ? bytes : undefined;
    }),
  );
}
