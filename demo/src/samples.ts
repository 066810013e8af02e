import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A sample file with its content. */
export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly content: Uint8Array;
}

/** Reads the files of a directory with the given name endings, sorted by name. */
export async function samplesIn(dir: string, ...endings: readonly string[]): Promise<Sample[]> {
  const names = (await readdir(dir)).filter((name) => endings.some((ending) => name.endsWith(ending))).sort();
  return Promise.all(
    names.map(async (name) => ({ name, path: join(dir, name), content: await readFile(join(dir, name)) })),
  );
}

/** Reads a JSON file with metadata of the other files in a directory, by file name. */
export async function metadataOf<T>(dir: string, name: string): Promise<Readonly<Record<string, T>>> {
  return JSON.parse(await readFile(join(dir, name), 'utf8'));
}
