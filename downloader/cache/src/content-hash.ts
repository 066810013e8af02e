/** Hashes of files, read in blocks so that memory use does not depend on file size. */
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { MIB } from '@heimdex/common';
import type { ContentHash } from './layout.js';

/** Bytes per read. */
export const READ_PART_BYTES = MIB;

/**
 * Creates a hash of a file's bytes: sha256, or git's sha1 of a blob (over `blob <length>\0` and the bytes). `sizeBytes` is the
 * final file size; sha256 does not need it.
 */
export function startContentHash(type: ContentHash['type'], sizeBytes: number): Hash {
  return type === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
}

/** Returns the hash of a file. Rejects with the system's error, which names the file, or with the signal's reason when it is aborted. */
export async function hashFile(type: ContentHash['type'], path: string, signal?: AbortSignal): Promise<string> {
  const file = await open(path, 'r');
  // Of an open file Node.js does not say which one it is.
  const failed = (error: Error): never => {
    throw Object.assign(error, { path });
  };
  try {
    const { size } = await file.stat().catch(failed);
    const hash = startContentHash(type, size);
    const part = Buffer.allocUnsafe(Math.min(READ_PART_BYTES, Math.max(size, 1)));
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(part, 0, part.length, null).catch(failed);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(part.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
