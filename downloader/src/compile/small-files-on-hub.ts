import { posix } from 'node:path';
import { type ContentHash, hashOfEntry, sizeOfEntry, startContentHash, type Tree } from '@heimdex/cache';
import { MIB, parseForeignJson } from '@heimdex/common';
import type { Remote } from '../remote.js';
import { collectBytes } from '../transfer/collect-bytes.js';
import { withRetries } from '../transfer/retry.js';
import type { ByteSource } from '../transfer/source.js';
import { hashMismatch } from '../transfer/transfer.js';
import type { SmallFiles } from './small-files.js';

/** These files have a few kilobytes. */
const MAX_BYTES = 4 * MIB;

type Retries = Pick<Remote, 'retry' | 'onRetry'>;

/** The small files of a repository of a hub in `dir`, each read once and verified. */
export function smallFilesOnHub(
  { name: repository, tree, dir }: { readonly name: string; readonly tree: Tree; readonly dir: string },
  sourceOf: (path: string) => ByteSource,
  retries: Retries,
  signal: AbortSignal,
): SmallFiles {
  const values = new Map<string, Promise<unknown>>();
  const pathOf = (name: string) => posix.join(dir, name);
  return {
    has: (name) => tree.has(pathOf(name)),
    read: async (name) => {
      const path = pathOf(name);
      const entry = tree.get(path);
      if (entry === undefined || sizeOfEntry(entry) > MAX_BYTES) return undefined;
      const listed = { label: `${repository} ${path}`, hash: hashOfEntry(entry) };
      const value = values.get(name) ?? readSmallJson(listed, sourceOf(path), retries, signal);
      values.set(name, value);
      return value;
    },
  };
}

/**
 * Reads a small JSON file and verifies its hash; undefined if it is not JSON. Throws DownloaderError HASH_MISMATCH for wrong bytes,
 * twice; errors of the source.
 */
async function readSmallJson(
  listed: { readonly label: string; readonly hash: ContentHash },
  source: ByteSource,
  { retry, onRetry }: Retries,
  signal: AbortSignal,
): Promise<unknown> {
  const { hash } = listed;
  const read = async () => {
    const bytes = await withRetries(() => readAll(source, signal), retry, signal, onRetry);
    return { bytes, hex: startContentHash(hash.type, bytes.length).update(bytes).digest('hex') };
  };
  let { bytes, hex } = await read();
  if (hex !== hash.value) {
    onRetry({ error: hashMismatch(listed, source, hex), failures: 1, delayMs: 0 });
    ({ bytes, hex } = await read());
  }
  if (hex !== hash.value) throw hashMismatch(listed, source, hex);
  try {
    return parseForeignJson(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

async function readAll(source: ByteSource, signal: AbortSignal): Promise<Buffer> {
  const opened = await source.open(undefined, signal);
  try {
    // More bytes than listed are wrong, as are none.
    return (await collectBytes(opened.body, MAX_BYTES)) ?? Buffer.alloc(0);
  } finally {
    opened.close();
  }
}
