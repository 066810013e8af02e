import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A file of samples with its bytes. */
export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly content: Uint8Array;
}

/** The files of a directory whose names end so, by name. */
export async function samplesIn(dir: string, ...endings: readonly string[]): Promise<Sample[]> {
  const names = (await readdir(dir)).filter((name) => endings.some((ending) => name.endsWith(ending))).sort();
  return Promise.all(
    names.map(async (name) => ({ name, path: join(dir, name), content: await readFile(join(dir, name)) })),
  );
}

/** A JSON file that says something of each file of a directory. */
export async function facts<T>(dir: string, name: string): Promise<Readonly<Record<string, T>>> {
  return JSON.parse(await readFile(join(dir, name), 'utf8'));
}
