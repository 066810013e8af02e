/** Lists what no configured model needs. Pure: works on the result of scanCache. */
import { join, posix } from 'node:path';
import { isAbandoned, sumSizes } from '@heimdex/common';
import { isCheckpointFile } from './checkpoint-files.js';
import { isExternalData } from './external-data.js';
import type { ModelInspection } from './found-model.js';
import type { ModelsLock } from './lock-file.js';
import type { Manifest } from './manifest-types.js';
import { allOptimizedSources, type OptimizedSource } from './optimized-path.js';
import type { OptimizedRecord } from './optimized-record.js';
import { pruneCompiled } from './prune-compiled.js';
import type { PruneReason, PruneStep } from './prune-types.js';
import {
  type CacheContents,
  type CachedBlob,
  type CachedPointer,
  type CachedRepository,
  type CachedSnapshot,
  isPartialName,
} from './scan-cache.js';
import type { CompiledDir } from './scan-compiled.js';

export interface PrunePlan {
  /** In the order of removal: pointers before their targets, so that an interrupted run leaves no dead link. */
  readonly steps: readonly PruneStep[];
  readonly freedBytes: number;
  /** Unneeded, but not downloaded by this program: kept until the user names it. */
  readonly kept: readonly KeptThing[];
}

/** An item that prune keeps, because other programs may need it. */
export interface KeptThing {
  /** `org/name`, or a plain file's name. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** Inputs of a prune in addition to the cache's contents. */
export interface PruneOptions {
  /** Partial files, and blobs that no snapshot points at, are kept if they changed near this time: a running download may have written them. */
  readonly nowMs: number;
  /** Identifies what this program downloaded. Undefined: nothing. */
  readonly lock: ModelsLock | undefined;
  /** Repositories named by the user, treated as downloaded by this program. */
  readonly named?: readonly string[];
  /** Result of scanOptimized. Kept as long as a configured model was not found, since it may belong to it. */
  readonly prepared?: readonly OptimizedSource[];
  /** Result of scanCompiled. */
  readonly compiled?: readonly CompiledDir[];
}

/**
 * Plans the removal of what this program downloaded; files of other programs are kept. Also kept: every configured model's
 * commit with the files of its variant and the checkpoint it was compiled from; all of a repository whose model was not found,
 * since it may be half downloaded; what may belong to a running download; files of a configured model's commit that this program
 * does not fetch; repositories of data sets and spaces; plain files that no manifest entry names.
 */
export function planPrune(
  contents: CacheContents,
  configured: readonly ModelInspection[],
  manifest: Manifest,
  { nowMs, lock, named = [], prepared = [], compiled = [] }: PruneOptions,
): PrunePlan {
  const downloaded = (lock?.models ?? []).filter(({ found }) => found !== true);
  const own = new Set([...downloaded.map(({ repository }) => repository), ...named]);
  const ownFiles = new Set(
    downloaded.filter(({ layout }) => layout === 'plain').flatMap(({ files }) => files.map(nameOf)),
  );
  const used = usedFiles(configured);
  const models = contents.repositories.filter(({ kind }) => kind === 'models');
  const unusedFiles = unusedPlainFiles(contents, configured, manifest);
  const kept = [
    ...models
      .filter(({ repository }) => !own.has(repository) && !used.has(repository))
      .map(({ repository, sizeBytes }) => ({ name: repository, sizeBytes })),
    ...unusedFiles.filter(({ name }) => !ownFiles.has(name)).map(({ name, sizeBytes }) => ({ name, sizeBytes })),
  ];
  const released = [
    ...models
      .filter(({ repository }) => own.has(repository))
      .flatMap((model) => {
        const isNamed = named.includes(model.repository);
        const isOwn = isNamed ? () => true : ownPaths(model.repository, downloaded, manifest);
        return pruneRepository(model, used.get(model.repository), isOwn, nowMs);
      }),
    ...unusedFiles
      .filter(({ name }) => ownFiles.has(name))
      .map((file) => remove(file.path, 'plain file not configured', ownBytes([file]))),
    ...pruneLeftovers(unawaited(contents.partials, configured), nowMs),
  ];
  const steps = [
    ...released,
    ...pruneSharedBlobs(contents, released),
    ...pruneOptimized(prepared, configured, lock === undefined ? undefined : (lock.prepared ?? [])),
    ...pruneCompiled(compiled, configured, nowMs),
  ];
  return { steps, freedBytes: steps.reduce((sum, step) => sum + step.freedBytes, 0), kept };
}

/** Partial files, without those that the download of a configured model resumes. */
function unawaited(partials: readonly CachedBlob[], configured: readonly ModelInspection[]): readonly CachedBlob[] {
  const unfinished = configured.filter((inspection) => inspection.found === undefined);
  const awaited = unfinished.flatMap(({ configured: model }) => [
    ...plainNames([model.layout, model.files]),
    ...(model.compile?.checkpoints.map(nameOf) ?? []),
  ]);
  return partials.filter(({ name }) => !awaited.some((wantedName) => name.startsWith(wantedName)));
}

/** Only what these steps release: huggingface_hub's own store may hold more than any snapshot names. */
function pruneSharedBlobs({ repositories, sharedBlobs }: CacheContents, steps: readonly PruneStep[]): PruneStep[] {
  const removed = new Set(steps.map(({ path }) => path));
  const gone = new Set<string | undefined>();
  const kept = new Set<string | undefined>();
  for (const { path, blobs, partials } of repositories)
    for (const blob of [...blobs, ...partials])
      (removed.has(path) || removed.has(blob.path) ? gone : kept).add(blob.realPath);
  return sharedBlobs
    .filter(({ realPath }) => realPath !== undefined && gone.has(realPath) && !kept.has(realPath))
    .map((blob) => remove(blob.path, 'blob without a file', blob.sizeBytes));
}

function pruneOptimized(
  prepared: readonly OptimizedSource[],
  configured: readonly ModelInspection[],
  recorded: readonly OptimizedRecord[] | undefined,
): PruneStep[] {
  const found = configured.flatMap(({ found: model }) => model ?? []);
  if (found.length < configured.length) return [];
  const used = allOptimizedSources(found);
  const unused = prepared.filter(({ source }) => !used.has(source));
  const unrecorded = prepared
    .filter(({ source }) => recorded !== undefined && used.has(source))
    .flatMap(({ source, forms }) =>
      forms.filter(({ form }) => !recorded?.some((record) => record.source === source && record.form === form)),
    );
  return [
    ...unused.map(({ path, sizeBytes }) =>
      remove(path, 'optimized model of a model that is not configured', sizeBytes, 'directory'),
    ),
    ...unrecorded.map(({ path, sizeBytes }) =>
      remove(path, 'optimized model that the lock file does not name', sizeBytes, 'directory'),
    ),
  ];
}

/** What is used of a repository: all of it, or paths by commit. */
type UsedCommits = 'all' | Map<string, ReadonlySet<string>>;

/** By repository. */
function usedFiles(configured: readonly ModelInspection[]): ReadonlyMap<string, UsedCommits> {
  const used = new Map<string, UsedCommits>();
  for (const { configured: model, repository, revision, found, checkpoint } of configured) {
    const isPlain = model.layout === 'plain';
    const isWhole = found !== undefined && revision !== undefined && !isPlain;
    // A plain file may also be in its repository's directory, if Python downloaded it.
    if (isPlain && found?.files.every((file) => file.blobId === undefined)) continue;
    if (!isWhole) {
      const sources = model.sources.map((source) => (source.type === 'hf' ? source.repository : model.id));
      for (const name of [repository, ...sources]) used.set(name, 'all');
      continue;
    }
    const commits = used.get(repository) ?? new Map<string, ReadonlySet<string>>();
    used.set(repository, commits);
    const paths = [...model.files, ...(checkpoint?.files ?? [])].map((file) => file.path);
    if (commits !== 'all') commits.set(revision, new Set([...(commits.get(revision) ?? []), ...paths]));
  }
  return used;
}

/**
 * What this program has fetched of a repository: what the lock file names, and weights in any form. Another one may have added files, such
 * as what transformers needs besides.
 */
function ownPaths(
  repository: string,
  downloaded: ModelsLock['models'],
  { entries, fileSets }: Manifest,
): (path: string) => boolean {
  const locked = downloaded.filter((model) => model.repository === repository).flatMap(({ files }) => files);
  const variants = [...entries, ...fileSets.values()].flatMap((one) => Object.values(one.variants).flat());
  const weights = variants.filter((file) => file.weights !== undefined || isExternalData(file.path));
  const paths = new Set([...locked, ...weights].map(({ path }) => path));
  return (path) => paths.has(path) || isCheckpointFile(path);
}

function pruneRepository(
  repository: CachedRepository,
  commits: UsedCommits | undefined,
  isOwn: (path: string) => boolean,
  nowMs: number,
): PruneStep[] {
  if (commits === 'all') return [];
  if (commits === undefined) {
    // Of a link only the link is removed.
    const { path, isLink, blobs, copies, partials } = repository;
    const freedBytes = isLink ? 0 : ownBytes([...blobs, ...copies, ...partials]);
    return [remove(path, 'repository not configured', freedBytes, 'directory')];
  }
  // A ref to a missing commit makes huggingface_hub call the whole directory corrupt.
  const refs = repository.refs.filter(({ commit }) => !commits.has(commit));
  const links = refs.map(({ path }) => remove(path, 'commit not configured', 0));
  const keptBlobs = new Set<string>();
  for (const snapshot of repository.snapshots) {
    const used = commits.get(snapshot.commit);
    if (used === undefined) {
      links.push(...removeCommit(repository, snapshot));
      continue;
    }
    for (const file of snapshot.files) {
      // A temporary name in a snapshot is a pointer being written.
      if (used.has(file.path) || !isOwn(file.path) || isPartialName(file.path)) keptBlobs.add(file.blobPath);
      else links.push(remove(file.pointerPath, 'file not configured', unlinkedBytes(file)));
    }
  }
  const pointedAt = new Set(repository.snapshots.flatMap((snapshot) => snapshot.files.map((file) => file.blobPath)));
  const blobs = repository.blobs.filter(
    (blob) => !keptBlobs.has(blob.path) && (pointedAt.has(blob.path) || isAbandoned(blob.modifiedMs, nowMs)),
  );
  return [
    ...links,
    ...blobs.map((blob) => remove(blob.path, 'blob without a file', ownBytes([blob]))),
    ...pruneLeftovers(repository.partials, nowMs),
  ];
}

/** A commit's snapshot, and what huggingface_hub notes about it elsewhere. */
function removeCommit({ path: root }: CachedRepository, { path, commit, files }: CachedSnapshot): PruneStep[] {
  const reason = 'commit not configured';
  const freedBytes = files.reduce((sum, file) => sum + unlinkedBytes(file), 0);
  return [
    remove(path, reason, freedBytes, 'directory'),
    remove(join(root, 'trees', `${commit}.json`), reason, 0),
    remove(join(root, '.no_exist', commit), reason, 0, 'directory'),
  ];
}

function pruneLeftovers(partials: readonly CachedBlob[], nowMs: number): PruneStep[] {
  return partials
    .filter((partial) => isAbandoned(partial.modifiedMs, nowMs))
    .map((partial) => remove(partial.path, 'left by a download', ownBytes([partial])));
}

/** Returns files in the root that a manifest entry names but no configured model uses. */
function unusedPlainFiles(
  contents: CacheContents,
  configured: readonly ModelInspection[],
  manifest: Manifest,
): readonly CachedBlob[] {
  const used = new Set(configured.flatMap(({ configured: model }) => plainNames([model.layout, model.files])));
  const known = new Set(
    manifest.entries.flatMap((entry) =>
      Object.values(entry.variants).flatMap((files) => plainNames([entry.layout, files])),
    ),
  );
  return contents.plainFiles.filter(({ name }) => known.has(name) && !used.has(name));
}

function nameOf({ path }: { readonly path: string }): string {
  return posix.basename(path);
}

function plainNames([layout, files]: [string, readonly { readonly path: string }[]]): string[] {
  return layout === 'plain' ? files.map((file) => file.path) : [];
}

function remove(path: string, reason: PruneReason, freedBytes: number, kind: PruneStep['kind'] = 'file'): PruneStep {
  return { path, kind, reason, freedBytes };
}

/** Bytes freed with these blobs; a link into the shared store has none itself. */
function ownBytes(blobs: readonly CachedBlob[]): number {
  return sumSizes(blobs.filter((blob) => !blob.isLink));
}

/** Bytes of a snapshot's file that is not a link, as huggingface_hub writes where links are unsupported. */
function unlinkedBytes(file: CachedPointer): number {
  return file.blobPath === file.pointerPath ? (file.sizeBytes ?? 0) : 0;
}
