import { access, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** A JSON object of a model repository, not yet trusted. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Where a repository keeps a file that belongs to `weights`: beside it, in a folder above it (weights mostly lie in `onnx/`), at
 * last in the repository's root. Undefined where it has none.
 */
export async function findBeside(folder: string, weights: string, name: string): Promise<string | undefined> {
  let place = dirname(weights);
  while (place !== folder && !relative(folder, place).startsWith('..') && place !== dirname(place)) {
    if (await exists(join(place, name))) return join(place, name);
    place = dirname(place);
  }
  const last = join(folder, name);
  return (await exists(last)) ? last : undefined;
}

/** Reads a JSON object. Throws an error that names the file when it is none. */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const value = await readJson(path);
  if (!isObject(value)) throw new Error(`Expected ${path} to hold a JSON object.`);
  return value;
}

/** Reads JSON of any kind. Throws an error that names the file when it is none. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Expected ${path} to hold JSON.`, { cause });
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object under a key, empty where there is none. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

/** The finite number under a key. */
export function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function stringAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' ? value : undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
