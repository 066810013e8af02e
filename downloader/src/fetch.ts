import { stat } from 'node:fs/promises';
import { hashFile } from '@heimdex/cache';
import pLimit from 'p-limit';
import { takeLock } from './blob-lock.js';
import type { DownloaderConfig } from './config.js';
import { asDiskError, makeDirOf } from './disk.js';
import { combineFailures, DownloaderError } from './errors.js';
import type { PlannedBlob } from './plan.js';
import type { OpenHasher } from './transfer/prefix-hasher.js';
import { type RetryNotice, type RetryPolicy, withRetries } from './transfer/retry.js';
import type { ByteSource } from './transfer/source.js';
import { transferFile } from './transfer/transfer.js';
import type { TransferOptions } from './transfer/transfer-options.js';

/** Told while files are fetched; progress bars and logs are made from it. */
export interface FetchEvents {
  onStart(blob: PlannedBlob, sizeBytes: number): void;
  /** Bytes of the file that are on disk now. */
  onBytes(blob: PlannedBlob, haveBytes: number): void;
  /** Bytes that came over the network. */
  onFetched(bytes: number): void;
  onRetry(blob: PlannedBlob, notice: RetryNotice): void;
  onDone(blob: PlannedBlob, outcome: BlobOutcome): void;
  onWait(blob: PlannedBlob): void;
  onLockUnsupported(path: string, reason: string): void;
}

/** What became of a file. */
export interface BlobOutcome {
  /** `fetched`; `found`: another process had just brought it; `verified`: it was there and its bytes are right. */
  readonly how: 'fetched' | 'found' | 'verified';
  readonly sizeBytes: number;
  /** Bytes that were there already, of this file. */
  readonly reusedBytes: number;
}

/** Transfers' bounds, from the configuration. */
export function transferOptions(config: DownloaderConfig, retry: RetryPolicy, openHasher: OpenHasher): TransferOptions {
  const limit = pLimit(config.connections);
  return {
    partBytes: config.partBytes,
    checkpointBytes: Math.min(4 * 1024 * 1024, Math.max(64 * 1024, Math.floor(config.partBytes / 4))),
    connectionsPerFile: Math.max(1, Math.ceil(config.connections / 2)),
    connection: (work) => limit(work),
    retry,
    openHasher,
  };
}

/** How much is done at once. */
export interface FetchBounds {
  readonly filesAtOnce: number;
  readonly transfer: TransferOptions;
}

/**
 * Brings every file of a plan to its place, several at once, and tells `onPlaced` of each. The first failure ends the
 * others, whose bytes stay for the next run.
 *
 * @throws DownloaderError; the signal's reason when it fires.
 */
export async function fetchBlobs(
  blobs: readonly PlannedBlob[],
  bounds: FetchBounds,
  events: FetchEvents,
  onPlaced: (blob: PlannedBlob) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const limit = pLimit(bounds.filesAtOnce);
  let failure: { readonly error: unknown } | undefined;
  const work = blobs
    .filter((blob) => blob.action !== 'keep')
    .map((blob) =>
      limit(async () => {
        if (both.aborted) return;
        try {
          events.onDone(blob, await downloadBlob(blob, bounds.transfer, events, both));
          await onPlaced(blob);
        } catch (error) {
          failure ??= { error };
          stop.abort(error);
        }
      }),
    );
  await Promise.all(work);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}

async function downloadBlob(
  blob: PlannedBlob,
  options: TransferOptions,
  events: FetchEvents,
  signal: AbortSignal,
): Promise<BlobOutcome> {
  await makeDirOf(blob.finalPath);
  const lock = await takeLock(
    blob.lockPath,
    { onWait: () => events.onWait(blob), onUnsupported: (path, reason) => events.onLockUnsupported(path, reason) },
    signal,
  );
  try {
    return await downloadLocked(blob, options, events, signal);
  } finally {
    await lock.release();
  }
}

async function downloadLocked(
  blob: PlannedBlob,
  options: TransferOptions,
  events: FetchEvents,
  signal: AbortSignal,
): Promise<BlobOutcome> {
  const there = await sizeOf(blob.finalPath);
  const sizeBytes = blob.sizeBytes ?? (await askSize(blob, options, signal));
  events.onStart(blob, sizeBytes);
  // Whoever held the lock before may have brought it; it is believed once its bytes are read.
  if (there === sizeBytes && (await isVerified(blob, signal))) {
    events.onBytes(blob, sizeBytes);
    return { how: blob.action === 'prove' ? 'verified' : 'found', sizeBytes, reusedBytes: sizeBytes };
  }
  const { reusedBytes } = await transferFile(
    { label: blob.label, finalPath: blob.finalPath, sizeBytes, hash: blob.hash, sources: blob.sources },
    options,
    {
      onBytes: (have) => events.onBytes(blob, have),
      onFetched: (bytes) => events.onFetched(bytes),
      onRetry: (notice) => events.onRetry(blob, notice),
    },
    signal,
  );
  return { how: 'fetched', sizeBytes, reusedBytes };
}

async function isVerified(blob: PlannedBlob, signal: AbortSignal): Promise<boolean> {
  try {
    return (await hashFile(blob.hash.type, blob.finalPath, signal)) === blob.hash.value;
  } catch (error) {
    signal.throwIfAborted();
    throw asDiskError(error, blob.finalPath);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

/** Asks the sources for a size that neither the manifest nor a list of files says. */
async function askSize(blob: PlannedBlob, options: TransferOptions, signal: AbortSignal): Promise<number> {
  const failures: DownloaderError[] = [];
  for (const source of blob.sources) {
    try {
      return await withRetries(() => sizeAt(source, signal), options.retry, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DownloaderError)) throw error;
      failures.push(error);
    }
  }
  throw combineFailures(`the size of ${blob.label}`, failures);
}

async function sizeAt(source: ByteSource, signal: AbortSignal): Promise<number> {
  const opened = await source.open(undefined, signal);
  opened.close();
  if (opened.totalBytes !== undefined) return opened.totalBytes;
  throw new DownloaderError(
    'ANSWER_INVALID',
    `${source.label} does not say its size. Give its sizeBytes in the manifest, then run: heimdex-downloader download`,
  );
}
