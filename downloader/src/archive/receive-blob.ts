import { createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { makeReadable } from '@heimdex/cache';
import { asDiskError } from '../disk.js';
import { DownloaderError } from '../errors.js';
import type { ArchivedBlob } from './archive-layout.js';
import type { TarEntry } from './tar-entries.js';

/** Writes an entry to a temporary file next to the final path, and returns its path once its hash is verified. */
export async function receive(blob: ArchivedBlob, entry: TarEntry, path: string, signal: AbortSignal): Promise<string> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.incomplete`;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      for await (const chunk of entry) {
        signal.throwIfAborted();
        const bytes = chunk as Buffer;
        sizeBytes += bytes.length;
        if (sizeBytes > blob.sizeBytes) break;
        hash.update(bytes);
        await file.writeFile(bytes);
      }
      await makeReadable(file);
      await file.datasync();
    } finally {
      await file.close();
    }
    const actual = hash.digest('hex');
    if (sizeBytes !== blob.sizeBytes || actual !== blob.sha256) {
      throw new DownloaderError(
        'HASH_MISMATCH',
        `${blob.name} in the archive does not match its lock file: expected ${blob.sizeBytes} bytes with sha256 ${blob.sha256}, got ${sizeBytes} with ${actual}. Copy the archive again, then run: heimdex-downloader import FILE`,
      );
    }
    return temporary;
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, path);
  }
}
