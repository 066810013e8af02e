import { asDiskError, throwDiskError } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { fromAnySource } from './any-source.js';
import type { Unfinished } from './leftovers.js';
import { PartFetcher } from './part-fetcher.js';
import { PartialFile } from './partial-file.js';
import type { ByteSource } from './source.js';
import type { TransferEvents, TransferOptions } from './transfer-options.js';

/** One file to fetch. */
export interface TransferJob extends Unfinished {
  /** For messages: repository and path. */
  readonly label: string;
  /** Tried in order; the next one if one does not answer. */
  readonly sources: readonly ByteSource[];
}

/** Maximum answers of the wrong size and complete fetches with wrong bytes, together. */
const MAX_MISMATCHES = 2;

/**
 * Fetches a file, verifies its bytes and renames it to its final name; nothing else ever appears there. On failure the received
 * bytes stay for the next run. Returns how many bytes of an earlier run matched and were resumed.
 * Throws DownloaderError; AbortError (the signal's reason) when the signal fires.
 */
export function transferFile(
  job: TransferJob,
  options: TransferOptions,
  events: TransferEvents,
  signal: AbortSignal,
): Promise<number> {
  return fromAnySource(job.label, job.sources, (source) => transferFrom(source, job, options, events, signal), signal);
}

async function transferFrom(
  source: ByteSource,
  job: TransferJob,
  options: TransferOptions,
  events: TransferEvents,
  signal: AbortSignal,
): Promise<number> {
  const { checkpointBytes, openHasher } = options;
  for (let mismatches = 0; ; ) {
    const partial = await PartialFile.open({ ...job, checkpointBytes, openHasher }, signal).catch(
      throwDiskError(job.finalPath),
    );
    events.onBytes(partial.haveBytes);
    try {
      await new PartFetcher(source, partial, options, events).run(signal);
      const hex = await partial.finish();
      if (hex === job.hash.value) {
        await partial.publish();
        return partial.reusedBytes;
      }
      throw hashMismatch(job, source, hex);
    } catch (error) {
      if (!isMismatch(error)) {
        await keep(partial);
        throw asDiskError(error, job.finalPath);
      }
      // A wrong size tells nothing about the received bytes; a wrong hash may be due to bytes of an earlier run: then only a
      // complete fetch of this run counts.
      const isSize = error.code === 'SIZE_MISMATCH';
      await (isSize ? keep(partial) : partial.discard());
      if (isSize || partial.reusedBytes === 0) mismatches += 1;
      if (mismatches === MAX_MISMATCHES) throw error;
      source.bypassCaches?.();
      events.onRetry({ error, failures: Math.max(1, mismatches), delayMs: 0 });
    }
  }
}

/** Keeps the received bytes for the next run. A full disk may prevent the journal entry: then fewer are resumed. */
async function keep(partial: PartialFile): Promise<void> {
  await partial.checkpoint().catch(() => {});
  await partial.close();
}

function isMismatch(error: unknown): error is DownloaderError {
  return error instanceof DownloaderError && (error.code === 'HASH_MISMATCH' || error.code === 'SIZE_MISMATCH');
}

/** The error for bytes whose hash is not the listed one. */
export function hashMismatch(
  job: Pick<TransferJob, 'label' | 'hash'>,
  source: ByteSource,
  hex: string,
): DownloaderError {
  return new DownloaderError(
    'HASH_MISMATCH',
    `${job.label} has wrong bytes: expected ${job.hash.type} ${job.hash.value}, got ${hex} from ${source.label}. Nothing was published. A proxy or mirror in between may change files: check HF_ENDPOINT, then run: heimdex-downloader download`,
  );
}
