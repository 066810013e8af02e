import { type ContentHash, type FoundFile, hashFile, hashOfEntry, isUnverified } from '@heimdex/cache';
import { type CacheState, type ModelState, needsOnlyCompiling, withDamaged } from './cache-state.js';
import { wrongCheckpoint } from './compile/cannot-compile.js';
import { DownloaderError } from './errors.js';
import { listRemoteFiles } from './list-remote-files.js';
import { mustBeRead } from './lock-entries.js';
import { isOffline, offlineReason } from './offline.js';
import type { Remote } from './remote.js';

/** A model with files that could not be verified. */
export interface UnverifiedModel {
  readonly state: ModelState;
  readonly paths: readonly string[];
  /** Why no hash is known. */
  readonly reason: string;
}

/** The cache state after verifying unlocked models as far as possible. */
export interface VerifiedCacheState {
  /** Files that were read and do not match are in `damaged` of their model. */
  readonly cacheState: CacheState;
  /** Must not be locked: the lock file would declare whatever is on the volume correct. */
  readonly unverified: readonly UnverifiedModel[];
}

/**
 * Verifies models that were on the volume before there was a lock file. Hashes in the lock file are trusted ever after, so each
 * file is verified first: by the hash in its blob's name if the lock needs another one, and by a hash from the hub if none is
 * on the volume, also of a checkpoint before it is compiled. Locked models cost nothing unless they are to be compiled; models
 * whose blobs are named by their sha256 cost only a read of the small files next to them. Throws DownloaderError HASH_MISMATCH for
 * a checkpoint of other bytes than the hub's: another program left it.
 */
export async function verifyFound(
  cacheState: CacheState,
  remote: Remote,
  signal: AbortSignal,
): Promise<VerifiedCacheState> {
  const unverified: UnverifiedModel[] = [];
  const verified = new Map<ModelState, ModelState>();
  for (const state of cacheState.models.filter(mustBeVerified)) {
    const { present, checkpoint } = state.inspection;
    const weights = checkpoint?.files ?? [];
    const unnamed = [...present, ...weights].filter(isUnverified);
    const { hashes, reason } = await askHashes(unnamed, state, cacheState.environment, remote, signal);
    // The sha256 that names a blob is locked as it is.
    const named = present.filter((file) => !isUnverified(file) && mustBeRead(file));
    const expected = [
      ...named.map((file) => ({ file, hash: file.hash })),
      ...unnamed.map((file) => ({ file, hash: hashes.get(file.path) })),
    ];
    const damaged = new Set(state.damaged);
    for (const { file, hash } of expected) {
      if (hash === undefined) continue;
      const actual = await hashFile(hash.type, file.blobPath, signal);
      if (actual === hash.value) continue;
      if (weights.includes(file)) throw wrongCheckpoint(file, hash, actual);
      damaged.add(file.path);
    }
    const paths = unnamed.map(({ path }) => path).filter((path) => !hashes.has(path));
    if (paths.length > 0) unverified.push({ state, paths, reason });
    verified.set(state, withDamaged(state, damaged));
  }
  const models = cacheState.models.map((state) => verified.get(state) ?? state);
  return { cacheState: { ...cacheState, models }, unverified };
}

/** Of what is locked, and of what is to be fetched, nothing needs to be verified. */
function mustBeVerified(state: ModelState): boolean {
  return state.inspection.found === undefined ? needsOnlyCompiling(state) : state.locked === undefined;
}

interface KnownHashes {
  readonly hashes: ReadonlyMap<string, ContentHash>;
  readonly reason: string;
}

async function askHashes(
  files: readonly FoundFile[],
  state: ModelState,
  environment: CacheState['environment'],
  remote: Remote,
  signal: AbortSignal,
): Promise<KnownHashes> {
  if (files.length === 0) return { hashes: new Map(), reason: '' };
  if (isOffline(environment))
    return { hashes: new Map(), reason: `${offlineReason(environment)}, so the hub is not asked` };
  try {
    return {
      hashes: await hashesOf(state, environment.cacheDir, remote, signal),
      reason: 'no source of the model has their hash',
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DownloaderError)) throw error;
    return { hashes: new Map(), reason: error.message };
  }
}

/** For a snapshot, at its commit on the volume; for a plain file, which has none, as its sources offer it now. */
async function hashesOf(
  state: ModelState,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ContentHash>> {
  const { configured, inspection } = state;
  if (configured.layout === 'plain') {
    const { files } = await listRemoteFiles(state, cacheDir, remote, signal);
    return new Map(files.map(({ file, hash }) => [file.path, hash]));
  }
  const { repository, revision } = inspection;
  const onHub = configured.sources.some((source) => source.type === 'hf' && source.repository === repository);
  if (!onHub || revision === undefined) return new Map();
  const tree = await (await remote.hub()).tree(repository, revision, signal);
  return new Map([...tree].map(([path, entry]) => [path, hashOfEntry(entry)]));
}
