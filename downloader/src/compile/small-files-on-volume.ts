import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { parseForeignJson } from '@heimdex/common';
import type { ModelState } from '../cache-state.js';
import { DownloaderError } from '../errors.js';
import type { SmallFiles } from './small-files.js';

/** A model's small files on the volume. Reading one that is not JSON throws DownloaderError CHECKPOINT_INVALID with its path. */
export function smallFilesOnVolume({ configured, inspection }: ModelState): SmallFiles {
  const paths = new Map(
    inspection.files.flatMap(({ file, found }) => (found === undefined ? [] : [[file.path, found.absolutePath]])),
  );
  for (const { path, absolutePath } of inspection.checkpoint?.files ?? []) paths.set(path, absolutePath);
  const pathOf = (name: string) => paths.get(posix.join(configured.dir, name));
  return {
    has: (name) => pathOf(name) !== undefined,
    read: async (name) => {
      const path = pathOf(name);
      if (path === undefined) return undefined;
      try {
        return parseForeignJson(await readFile(path, 'utf8'));
      } catch (cause) {
        if (!(cause instanceof SyntaxError)) throw cause;
        throw new DownloaderError(
          'CHECKPOINT_INVALID',
          `Expected ${path} to be JSON, got "${cause.message}". To fetch it again, run: heimdex-downloader download --check`,
        );
      }
    },
  };
}
