import { isObject, type JsonObject } from '@heimdex/common';

/** The model's small files, by their names in its directory. */
export interface SmallFiles {
  readonly has: (name: string) => boolean;
  /** Undefined if there is none, or if a hub's is not JSON. */
  readonly read: (name: string) => Promise<unknown>;
}

/** Undefined if there is no such file, or if it holds no object. */
export async function readObject(files: SmallFiles, name: string): Promise<JsonObject | undefined> {
  const value = await files.read(name);
  return isObject(value) ? value : undefined;
}
