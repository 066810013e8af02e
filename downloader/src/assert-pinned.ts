import type { ContentHash, ModelFile } from '@heimdex/cache';
import { lockedFile, type ModelState } from './cache-state.js';
import { DownloaderError } from './errors.js';

/** Checks an offered file against the manifest and the lock file. Throws DownloaderError HASH_MISMATCH; `where` names the source. */
export function assertPinned(
  state: ModelState,
  file: ModelFile,
  hash: ContentHash,
  sizeBytes: number | undefined,
  where: string,
): void {
  const locked = lockedFile(state.locked, file.path);
  const wanted = hash.type === 'sha256' ? (locked?.sha256 ?? file.sha256) : locked?.blobId;
  const by = locked === undefined ? 'the manifest' : 'the lock file';
  const next = locked === undefined ? 'heimdex-downloader plan' : 'heimdex-downloader update';
  const differs = (expected: string, got: string) =>
    new DownloaderError(
      'HASH_MISMATCH',
      `${where} offers different bytes for ${file.path} than ${by} names: expected ${expected}, got ${got}. To see what changed, run: ${next}`,
    );
  if (wanted !== undefined && wanted !== hash.value) throw differs(wanted, hash.value);
  // A blob that was cut off when it was locked unread, by the sha256 in its name, has a wrong size in the lock file.
  if (locked !== undefined && wanted !== undefined) return;
  const expectedSize = locked?.sizeBytes ?? file.sizeBytes;
  if (expectedSize !== undefined && sizeBytes !== undefined && expectedSize !== sizeBytes) {
    throw differs(`${expectedSize} bytes`, `${sizeBytes} bytes`);
  }
}
