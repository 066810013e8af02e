import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type ConfiguredModel,
  changeLock,
  type FoundFile,
  hashFile,
  type LockedFile,
  type LockedModel,
  withLockedModels,
} from '@heimdex/cache';
import { byPath } from '@heimdex/common';
import { acquireLock, type LockEvents, whileHeld } from './blob-lock.js';
import { lockedFile, type ModelState } from './cache-state.js';
import { asDiskError } from './disk.js';
import { DownloaderError } from './errors.js';
import type { PlannedModel } from './plan.js';
import type { RemoteFiles } from './remote-files.js';

/**
 * Returns the lock file's entry of a model that has just been published. Throws DownloaderError HASH_MISMATCH if a file that the hub
 * knows only by git's sha1 has not the sha256 that the manifest or the lock file names.
 */
export async function lockPublished(model: PlannedModel, signal: AbortSignal): Promise<LockedModel> {
  const { remoteFiles } = model;
  const { configured } = remoteFiles.state;
  const files: LockedFile[] = [];
  for (const { offered, blob } of model.files) {
    const { hash, file } = offered;
    // Small files are known by git's sha1; the lock file has every file's sha256, so that one tool can check them all.
    const sha256 = hash.type === 'sha256' ? hash.value : await hashFile('sha256', blob.finalPath, signal);
    const expected = lockedFile(remoteFiles.state.locked, file.path)?.sha256 ?? file.sha256;
    if (expected !== undefined && expected !== sha256) throw wrongBytes(file.path, blob.finalPath, expected, sha256);
    const sizeBytes = blob.sizeBytes ?? (await sizeOfBlob(blob.finalPath));
    files.push({
      path: file.path,
      sizeBytes,
      sha256,
      blobId: remoteFiles.commit === undefined || offered.volumePath !== undefined ? undefined : hash.value,
    });
  }
  return {
    ...configuredFields(configured),
    repository: remoteFiles.repository,
    source: remoteFiles.source,
    requestedRevision: remoteFiles.requestedRevision,
    revision: revisionOf(remoteFiles, files),
    files: byPath(files),
  };
}

/**
 * Returns the lock file's entry of a model that was on the volume before there was a lock file.
 * Throws DownloaderError HASH_MISMATCH if a file does not match its blob's name.
 */
export async function lockFound(state: ModelState, signal: AbortSignal): Promise<LockedModel | undefined> {
  const { configured, inspection } = state;
  const { found, repository } = inspection;
  if (found === undefined) return undefined;
  const files: LockedFile[] = [];
  for (const file of found.files) {
    await assertNamed(file, signal);
    const sha256 = file.hash?.type === 'sha256' ? file.hash.value : await hashFile('sha256', file.blobPath, signal);
    files.push({ path: file.path, sizeBytes: file.sizeBytes, sha256, blobId: validBlobId(file.blobId) });
  }
  // The checkpoint is locked with the compiled model, whether or not it is kept.
  for (const { path, sizeBytes, sha256 } of found.compiled?.sources ?? []) {
    files.push({ path, sizeBytes, sha256, blobId: undefined });
  }
  const source =
    configured.sources.find((candidate) => candidate.type === 'hf' && candidate.repository === repository) ??
    configured.sources.find(({ type }) => type !== 'hf') ??
    configured.sources[0];
  return {
    ...configuredFields(configured),
    repository,
    source: source?.type ?? 'hf',
    requestedRevision: source?.type === 'hf' ? source.revision : 'main',
    revision: found.revision,
    files: byPath(files),
  };
}

function configuredFields({ role, entry, variant, layout }: ConfiguredModel) {
  return { role, entry, variant, layout };
}

function wrongBytes(path: string, at: string, expected: string, actual: string): DownloaderError {
  return new DownloaderError(
    'HASH_MISMATCH',
    `${path} at ${at} has other bytes than its sha256 in the manifest or the lock file names: expected ${expected}, got ${actual}. Correct the hash in the manifest (MODELS_MANIFEST) if it is wrong, then run: heimdex-downloader download`,
  );
}

/**
 * Returns whether a file must be read before it is locked: its blob is named by git's sha1, and the lock file has its sha256, which
 * is unknown or, if the manifest names it, not verified.
 */
export function mustBeRead({ hash, blobId }: Pick<FoundFile, 'hash' | 'blobId'>): boolean {
  return hash?.type === 'git-sha1' || (hash !== undefined && blobId !== undefined && blobId !== hash.value);
}

/** A file whose blob is not named by its sha256 must match its known hash before it is recorded. */
async function assertNamed(file: FoundFile, signal: AbortSignal): Promise<void> {
  const { hash, path, absolutePath, blobPath } = file;
  if (hash === undefined || !mustBeRead(file)) return;
  const actual = await hashFile(hash.type, blobPath, signal);
  if (actual === hash.value) return;
  if (hash.type === 'sha256') throw wrongBytes(path, absolutePath, hash.value, actual);
  throw new DownloaderError(
    'HASH_MISMATCH',
    `${path} at ${absolutePath} has wrong bytes: expected git-sha1 ${hash.value}, got ${actual}. To fetch it again, run: heimdex-downloader download`,
  );
}

/**
 * Adds models to the lock file, one process at a time, and keeps what others have written meanwhile, except for `isFormer`. An unwritable
 * volume is not a failure when all models are present: the error is returned, for a warning.
 */
export async function updateLock(
  path: string,
  models: readonly LockedModel[],
  events: LockEvents,
  signal: AbortSignal,
  isFormer: (model: LockedModel) => boolean = () => false,
): Promise<unknown> {
  if (models.length === 0) return undefined;
  try {
    const lock = await acquireLock(join(dirname(path), '.locks', `${basename(path)}.lock`), events, signal);
    await whileHeld(lock, () =>
      changeLock(path, (before) =>
        withLockedModels({ ...before, models: before.models.filter((model) => !isFormer(model)) }, models),
      ),
    );
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return asDiskError(error, path);
  }
}

function revisionOf(remoteFiles: RemoteFiles, files: readonly LockedFile[]): string {
  if (remoteFiles.commit !== undefined) return remoteFiles.commit;
  const [first] = files;
  if (first === undefined) throw new Error(`${remoteFiles.repository} has no files`);
  return first.sha256;
}

function validBlobId(blobId: string | undefined): string | undefined {
  return blobId !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(blobId) ? blobId : undefined;
}

async function sizeOfBlob(path: string): Promise<number> {
  return (await stat(path)).size;
}
