import { hashFile } from '@heimdex/cache';
import { codeOf, KIB, MIB } from '@heimdex/common';
import pLimit from 'p-limit';
import { acquireLock, whileHeld } from './blob-lock.js';
import type { DownloaderConfig } from './config.js';
import { fileSize, makeDirOf } from './disk.js';
import type { PlannedBlob } from './plan.js';
import { fromAnySource } from './transfer/any-source.js';
import { askSize } from './transfer/ask-size.js';
import { removeLeftovers } from './transfer/leftovers.js';
import type { OpenHasher } from './transfer/prefix-hasher.js';
import type { RetryNotice, RetryOptions } from './transfer/retry.js';
import type { ByteSource } from './transfer/source.js';
import { transferFile } from './transfer/transfer.js';
import type { TransferOptions } from './transfer/transfer-options.js';

/** Events of a fetch, for progress bars and logs. */
export interface FetchEvents {
  onStart(blob: PlannedBlob, sizeBytes: number): void;
  /** Bytes of the file on disk. */
  onBytes(blob: PlannedBlob, haveBytes: number): void;
  /** Bytes received over the network. */
  onFetched(bytes: number): void;
  onRetry(blob: PlannedBlob, notice: RetryNotice): void;
  onDone(blob: PlannedBlob, outcome: BlobOutcome): void;
  onWait(blob: PlannedBlob): void;
  onLockUnsupported(path: string, reason: string): void;
}

/** Outcome of one file. */
export interface BlobOutcome {
  /** `fetched`; `found`: another process has just fetched it; `verified`: it was present and its bytes match. */
  readonly how: 'fetched' | 'found' | 'verified';
  readonly sizeBytes: number;
  /** Bytes of an earlier run that the fetch went on from; 0 if it is not `fetched`. */
  readonly resumedBytes: number;
}

/** Limits of transfers, from the configuration. */
export function transferOptions(
  config: DownloaderConfig,
  retry: RetryOptions,
  openHasher: OpenHasher,
): TransferOptions {
  const limit = pLimit(config.connections);
  return {
    partBytes: config.partBytes,
    checkpointBytes: Math.min(4 * MIB, Math.max(64 * KIB, Math.floor(config.partBytes / 4))),
    connectionsPerFile: Math.max(1, Math.ceil(config.connections / 2)),
    connection: (work) => limit(work),
    retry,
    openHasher,
  };
}

/** Concurrency limits. */
export interface FetchBounds {
  readonly filesAtOnce: number;
  readonly transfer: TransferOptions;
}

/**
 * Fetches every file of a plan, several concurrently, and calls `onFetched` for each. The first failure stops the others;
 * their bytes stay for the next run.
 * Throws DownloaderError; the signal's reason when it fires.
 */
export async function fetchBlobs(
  blobs: readonly PlannedBlob[],
  bounds: FetchBounds,
  events: FetchEvents,
  onFetched: (blob: PlannedBlob) => Promise<void>,
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
          await onFetched(blob);
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
  const lock = await acquireLock(
    blob.lockPath,
    { onWait: () => events.onWait(blob), onUnsupported: (path, reason) => events.onLockUnsupported(path, reason) },
    signal,
  );
  return whileHeld(lock, () => downloadLocked(blob, options, events, signal));
}

async function downloadLocked(
  blob: PlannedBlob,
  options: TransferOptions,
  events: FetchEvents,
  signal: AbortSignal,
): Promise<BlobOutcome> {
  const there = await fileSize(blob.finalPath);
  // Neither the manifest nor a tree list may have it.
  const ask = (source: ByteSource) => askSize(source, options.retry, signal, (notice) => events.onRetry(blob, notice));
  const sizeBytes = blob.sizeBytes ?? (await fromAnySource(`the size of ${blob.label}`, blob.sources, ask, signal));
  events.onStart(blob, sizeBytes);
  // The previous holder of the lock may have fetched the file; its bytes are verified first.
  if (there === sizeBytes && (await isVerified(blob, signal))) {
    events.onBytes(blob, sizeBytes);
    return { how: blob.action === 'verify' ? 'verified' : 'found', sizeBytes, resumedBytes: 0 };
  }
  try {
    const resumedBytes = await transferFile(
      { ...blob, sizeBytes },
      options,
      {
        onBytes: (have) => events.onBytes(blob, have),
        onFetched: (bytes) => events.onFetched(bytes),
        onRetry: (notice) => events.onRetry(blob, notice),
      },
      signal,
    );
    return { how: 'fetched', sizeBytes, resumedBytes };
  } catch (error) {
    signal.throwIfAborted();
    // On a volume whose locks no other machine sees, another process may have finished it and removed what this one had.
    if ((await fileSize(blob.finalPath)) !== sizeBytes || !(await isVerified(blob, signal))) throw error;
    await removeLeftovers(blob.finalPath);
    events.onBytes(blob, sizeBytes);
    return { how: 'found', sizeBytes, resumedBytes: 0 };
  }
}

async function isVerified({ hash, finalPath }: PlannedBlob, signal: AbortSignal): Promise<boolean> {
  try {
    return (await hashFile(hash.type, finalPath, signal)) === hash.value;
  } catch (error) {
    // A disk that has lost bytes of this file may have room for others.
    if (codeOf(error) === 'EIO') return false;
    throw error;
  }
}
