import { type ContentHash, type FoundFile, hashFile, isUnverified } from '@heimdex/cache';
import type { CacheState, ModelState } from './cache-state.js';
import { asDiskError } from './disk.js';
import { DownloaderError } from './errors.js';
import type { Remote } from './remote.js';
import { listRemoteFiles } from './remote-files.js';

/** A model of which some files could not be proved. */
export interface UnverifiedModel {
  readonly state: ModelState;
  readonly paths: readonly string[];
  /** Why nothing says what their bytes must be. */
  readonly reason: string;
}

/** An inventory whose unlocked models were proved as far as that can be. */
export interface VerifiedCacheState {
  /** Files that were read and found wrong are among `damaged` of their model. */
  readonly cacheState: CacheState;
  /** Must not be locked: the lock file would make whatever lies there the right bytes. */
  readonly unverified: readonly UnverifiedModel[];
}

/**
 * Looks closely at models that were on the volume before there was a lock file. What the lock file says of a file is believed
 * ever after, so each file is proved first: by the hash that its blob's name says where the lock would need another one, and
 * where nothing on the volume says a hash by asking the hub. Locked models cost nothing, models whose blobs are named by
 * their sha256 no more than a read of the small files beside them.
 */
export async function verifyFound(
  cacheState: CacheState,
  remote: Remote,
  signal: AbortSignal,
): Promise<VerifiedCacheState> {
  const unverified: UnverifiedModel[] = [];
  const models: ModelState[] = [];
  for (const state of cacheState.models) {
    const { found } = state.inspection;
    if (found === undefined || state.locked !== undefined) {
      models.push(state);
      continue;
    }
    const damaged = new Set(state.damaged);
    for (const file of found.files.filter((one) => !isUnverified(one))) {
      // A sha256 goes into the lock as it is; of git's sha1 the bytes are read for it, right or wrong.
      if (file.hash?.type === 'git-sha1' && !(await hasHash(file, file.hash, signal))) damaged.add(file.path);
    }
    const unnamed = found.files.filter(isUnverified);
    if (unnamed.length > 0) {
      const { hashes, reason } = await askHashes(state, cacheState.environment, remote, signal);
      const paths: string[] = [];
      for (const file of unnamed) {
        const hash = hashes.get(file.path);
        if (hash === undefined) paths.push(file.path);
        else if (!(await hasHash(file, hash, signal))) damaged.add(file.path);
      }
      if (paths.length > 0) unverified.push({ state, paths, reason });
    }
    models.push({ ...state, damaged });
  }
  return { cacheState: { ...cacheState, models }, unverified };
}

async function hasHash(file: FoundFile, { type, value }: ContentHash, signal: AbortSignal): Promise<boolean> {
  try {
    return (await hashFile(type, file.blobPath, signal)) === value;
  } catch (error) {
    signal.throwIfAborted();
    throw asDiskError(error, file.blobPath);
  }
}

interface Asked {
  readonly hashes: ReadonlyMap<string, ContentHash>;
  readonly reason: string;
}

async function askHashes(
  state: ModelState,
  { offline, cacheDir }: CacheState['environment'],
  remote: Remote,
  signal: AbortSignal,
): Promise<Asked> {
  if (offline) return { hashes: new Map(), reason: 'HF_HUB_OFFLINE is set, so the hub is not asked' };
  try {
    return {
      hashes: await hashesOf(state, cacheDir, remote, signal),
      reason: 'no source of the model says their hash',
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DownloaderError)) throw error;
    return { hashes: new Map(), reason: error.message };
  }
}

/** Of a snapshot at the commit that lies there; of a plain file, which has none, as its sources offer it now. */
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
  return new Map(
    [...tree].map(([path, { blobId, lfsSha256 }]) => [
      path,
      lfsSha256 === undefined ? { type: 'git-sha1', value: blobId } : { type: 'sha256', value: lfsSha256 },
    ]),
  );
}
