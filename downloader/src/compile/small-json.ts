import { posix } from 'node:path';
import type { Tree } from '@heimdex/cache';
import { type RetryOptions, withRetries } from '../transfer/retry.js';
import type { ByteSource } from '../transfer/source.js';

/** The model's small files, by their names in its directory. */
export interface SmallFiles {
  readonly has: (name: string) => boolean;
  /** Undefined if there is none, or if it is not JSON. */
  readonly read: (name: string) => Promise<unknown>;
}

/** These files have a few kilobytes. */
const MAX_BYTES = 4 << 20;

/** The small files of a repository of a hub in `dir`, each requested at most once. */
export function smallFilesOf(
  tree: Tree,
  dir: string,
  sourceOf: (path: string) => ByteSource,
  retry: RetryOptions,
  signal: AbortSignal,
): SmallFiles {
  const values = new Map<string, Promise<unknown>>();
  const has = (name: string) => tree.has(posix.join(dir, name));
  return {
    has,
    read: async (name) => {
      if (!has(name)) return undefined;
      const value = values.get(name) ?? readSmallJson(sourceOf(posix.join(dir, name)), retry, signal);
      values.set(name, value);
      return value;
    },
  };
}

/** Reads a small JSON file; undefined if it is longer than such files are, or is not JSON. */
async function readSmallJson(source: ByteSource, retry: RetryOptions, signal: AbortSignal): Promise<unknown> {
  const text = await withRetries(() => readAll(source, signal), retry, signal);
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readAll(source: ByteSource, signal: AbortSignal): Promise<string> {
  const opened = await source.open(undefined, signal);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const part of opened.body) {
      sizeBytes += part.length;
      if (sizeBytes > MAX_BYTES) break;
      parts.push(part);
    }
  } finally {
    opened.close();
  }
  return sizeBytes > MAX_BYTES ? '' : Buffer.concat(parts).toString('utf8');
}
