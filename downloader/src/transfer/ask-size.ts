import { DownloaderError } from '../errors.js';
import { type RetryNotice, type RetryOptions, withRetries } from './retry.js';
import type { ByteSource } from './source.js';

/** Requests the size of a source's file. Throws DownloaderError. */
export function askSize(
  source: ByteSource,
  retry: RetryOptions,
  signal: AbortSignal,
  onRetry: (notice: RetryNotice) => void,
): Promise<number> {
  const work = async () => {
    const opened = await source.open(undefined, signal);
    opened.close();
    if (opened.totalBytes !== undefined) return opened.totalBytes;
    throw new DownloaderError(
      'ANSWER_INVALID',
      `${source.label} does not report its size. Set its sizeBytes in the manifest, then run: heimdex-downloader download`,
    );
  };
  return withRetries(work, retry, signal, onRetry);
}
