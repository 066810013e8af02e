import { posix } from 'node:path';
import type { CompileRequest, ConfiguredModel, HubSource, Tree } from '@heimdex/cache';
import { hashOfEntry, isCommit, POOLING_DIR, sentenceModules, sizeOfEntry, withStandIns } from '@heimdex/cache';
import { assertPinned } from './assert-pinned.js';
import { lockedFile, type ModelState } from './cache-state.js';
import { type CheckpointSearch, chooseSource, hasWeights, layoutOf } from './checkpoint-source.js';
import { assertCompilable } from './compile/assert-compilable.js';
import { isHalfPrecision } from './compile/estimate.js';
import { isCompiledFrom } from './compile/same-checkpoint.js';
import type { SmallFiles } from './compile/small-files.js';
import { smallFilesOnHub } from './compile/small-files-on-hub.js';
import { unusableWeights } from './foreign-weights.js';
import { byteSources } from './pinned-files.js';
import type { Remote } from './remote.js';
import { fileUnknown, goneCommit } from './remote-errors.js';
import type { RemoteFile, RemoteFiles } from './remote-files.js';
import type { ByteSource } from './transfer/source.js';

/** Returns what a repository of the hub offers for a model, at its locked or kept commit if there is one. Throws DownloaderError. */
export async function askHub(
  state: ModelState,
  source: HubSource,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<RemoteFiles> {
  const { repository } = source;
  const lockedAt = lockedCommit(state, source);
  const keptAt = state.inspection.repository === repository ? state.keptCommit : undefined;
  const heldAt = lockedAt ?? keptAt;
  const revision = heldAt ?? source.revision;
  const hub = await remote.hub();
  const commit = isCommit(revision) ? revision : await hub.commit(repository, revision, signal);
  const tree = await hub.tree(repository, commit, signal).catch((error: unknown) => {
    const who = lockedAt === undefined ? 'The volume has' : 'The lock file chose';
    throw heldAt === undefined ? error : goneCommit(error, who, repository, heldAt);
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
    small: smallFilesOnHub({ name: repository, tree, dir: configured.dir }, fileAt, remote, signal),
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
    ...(chosen && { checkpoint: chosen.checkpoint }),
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
    const others = configured.sources.filter(({ type }) => type !== 'hf');
    const sources = [listing.fileAt(file.path), ...byteSources(others, file, hash, remote)];
    files.push({ file, sizeBytes, hash, sources });
  }
  await assertPoolingIsThere(listing);
  return files;
}

/** Throws DownloaderError NOT_FOUND for an export whose modules.json names a pooling of which it has no file: the server would refuse it. */
async function assertPoolingIsThere({ configured, small, source, repository }: Listing): Promise<void> {
  const path = `${POOLING_DIR}/config.json`;
  if (configured.family !== 'sentence' || configured.compile !== undefined || small.has(path)) return;
  const modules = sentenceModules(await small.read('modules.json')) ?? [];
  if (!modules.some(({ type }) => type === 'Pooling')) return;
  throw fileUnknown({ configured }, source, repository.commit, { path: posix.join(configured.dir, path) });
}

/** Returns the files of the checkpoint to compile, and why it was chosen. Throws DownloaderError if there is none that can be compiled. */
async function checkpointFiles(
  state: ModelState,
  request: CompileRequest,
  listing: Listing,
  signal: AbortSignal,
): Promise<Required<Pick<RemoteFiles, 'files' | 'checkpoint'>>> {
  const { configured, tree, where } = listing;
  const { config } = await assertCompilable(configured, listing.small);
  const chosen = await chooseSource(configured, request, listing, signal);
  if (chosen === undefined) throw unusableWeights(configured, tree, where);
  const files = chosen.files.map(({ path, isThere, ...rest }): RemoteFile => {
    const file = { path, required: true };
    if (rest.volumePath === undefined) assertPinned(state, file, rest.hash, rest.sizeBytes, where);
    return { file, isVerified: isThere && rest.volumePath !== undefined, ...rest };
  });
  const paths = files.map(({ file }) => file.path);
  return { files, checkpoint: { paths, why: chosen.why, isHalf: isHalfPrecision(paths, config) } };
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
