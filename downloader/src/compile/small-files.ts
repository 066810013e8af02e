import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ModelState } from '../cache-state.js';
import { DownloaderError } from '../errors.js';
import { type JsonObject, objectOf } from './json-object.js';
import type { SmallFiles } from './small-json.js';

/** A model's small files on the volume. */
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
        return JSON.parse(await readFile(path, 'utf8'));
      } catch (cause) {
        if (cause instanceof SyntaxError) return undefined;
        throw cause;
      }
    },
  };
}

/**
 * Reads one of the model's JSON files on the volume; undefined if the model has none of that name. Throws DownloaderError
 * CHECKPOINT_INVALID, with the file's path, if it is not JSON of the expected shape.
 */
async function readSmallFile<Value>(
  { configured, inspection }: ModelState,
  name: string,
  isExpected: (value: unknown) => value is Value,
  expected: string,
): Promise<Value | undefined> {
  const path = posix.join(configured.dir, name);
  const file = inspection.files.find((one) => one.file.path === path);
  if (file?.found === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(await readFile(file.found.absolutePath, 'utf8'));
    if (isExpected(value)) return value;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new DownloaderError(
    'CHECKPOINT_INVALID',
    `Expected ${file.found.absolutePath} to be a JSON ${expected}. To fetch it again, run: heimdex-downloader download --check`,
  );
}

export function readSmallObject(state: ModelState, name: string): Promise<JsonObject | undefined> {
  const isObject = (value: unknown): value is JsonObject => objectOf(value) !== undefined;
  return readSmallFile(state, name, isObject, 'object');
}

export function readSmallList(state: ModelState, name: string): Promise<readonly unknown[] | undefined> {
  return readSmallFile(state, name, (value): value is readonly unknown[] => Array.isArray(value), 'list');
}
