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
  const wantedHash = locked?.sha256 ?? file.sha256;
  const expectedSize = locked?.sizeBytes ?? file.sizeBytes;
  const wantedBlob = locked?.blobId;
  const by = locked === undefined ? 'the manifest' : 'the lock file';
  const next = locked === undefined ? 'heimdex-downloader plan' : 'heimdex-downloader update';
  const differs = (expected: string, got: string) =>
    new DownloaderError(
      'HASH_MISMATCH',
      `${where} offers different bytes for ${file.path} than ${by} names: expected ${expected}, got ${got}. To see what changed, run: ${next}`,
    );
  if (wantedHash !== undefined && hash.type === 'sha256' && wantedHash !== hash.value)
    throw differs(wantedHash, hash.value);
  if (wantedBlob !== undefined && hash.type === 'git-sha1' && wantedBlob !== hash.value)
    throw differs(wantedBlob, hash.value);
  if (expectedSize !== undefined && sizeBytes !== undefined && expectedSize !== sizeBytes) {
    throw differs(`${expectedSize} bytes`, `${sizeBytes} bytes`);
  }
}
