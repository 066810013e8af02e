import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A file of samples with its bytes. */
export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly content: Uint8Array;
}

/** The files of a folder whose names end so, by name. */
export async function samplesIn(folder: string, ...endings: readonly string[]): Promise<Sample[]> {
  const names = (await readdir(folder)).filter((name) => endings.some((ending) => name.endsWith(ending))).sort();
  return Promise.all(
    names.map(async (name) => ({ name, path: join(folder, name), content: await readFile(join(folder, name)) })),
  );
}

/** A JSON file that says something of each file of a folder. */
export async function facts<T>(folder: string, name: string): Promise<Readonly<Record<string, T>>> {
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}
