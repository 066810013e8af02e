import { readFile } from 'node:fs/promises';
import { codeOf, isObject, type JsonObject, throwNamed } from '@heimdex/common';

export { asObject, isObject, type JsonObject, objectAt } from '@heimdex/common';

/** Reads a JSON object from a file. Throws an error that names the file if it contains anything else. */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const value = await readJson(path);
  if (!isObject(value)) throw new Error(`Expected ${path} to contain a JSON object.`);
  return value;
}

/** As `readJsonObject`; empty if there is no such file. */
export async function readOptionalObject(path: string): Promise<JsonObject> {
  return (await readIfThere(path, readJsonObject)) ?? {};
}

/** Reads a file; undefined if there is none. */
export async function readIfThere<Value>(
  path: string,
  read: (path: string) => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads a text file. Throws an error that names the file. */
export function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error) => throwNamed(path, error));
}

/** Reads JSON from a file. Throws an error that names the file if it is invalid. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Expected ${path} to contain valid JSON.`, { cause });
  }
}

/** Returns the finite number under a key, or undefined. */
export function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function stringAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' ? value : undefined;
}

/** The objects in the list under a key; none without a list. */
export function objectsAt(object: JsonObject, key: string): readonly JsonObject[] {
  const value = object[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
