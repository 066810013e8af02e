import { readFile } from 'node:fs/promises';

/** A JSON object of a file that comes from elsewhere, not yet trusted. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads a JSON object. Throws an error that names the file when it is none. */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const value = await readJson(path);
  if (!isObject(value)) throw new Error(`Expected ${path} to hold a JSON object.`);
  return value;
}

/** As `readJsonObject`; empty where there is no such file. */
export async function readOptionalObject(path: string): Promise<JsonObject> {
  try {
    return await readJsonObject(path);
  } catch (error) {
    if (isObject(error) && error.code === 'ENOENT') return {};
    throw error;
  }
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
