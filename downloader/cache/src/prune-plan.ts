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
  const steps: PruneStep[] = [];
  const kept: KeptThing[] = [];
  const keptReal = new Set<string>();
  for (const repository of contents.repositories.filter(({ kind }) => kind === 'models')) {
    const commits = used.get(repository.repository);
    if (!own.has(repository.repository)) {
      if (commits === undefined) kept.push({ name: repository.repository, sizeBytes: repository.sizeBytes });
    } else if (commits === undefined) {
      // Of a link only the link is removed.
      const { isLink, blobs, copies, partials } = repository;
      const freedBytes = isLink ? 0 : ownBytes([...blobs, ...copies, ...partials]);
      steps.push({ path: repository.path, kind: 'directory', reason: 'repository not configured', freedBytes });
    } else if (commits !== 'all') {
      const isNamed = named.includes(repository.repository);
      const isOwn = isNamed ? () => true : ownPaths(repository.repository, downloaded, manifest);
      steps.push(...pruneRepository(repository, commits, isOwn, nowMs));
    }
  }
  for (const file of unusedPlainFiles(contents, configured, manifest)) {
    if (ownFiles.has(file.name)) steps.push(remove(file.path, 'plain file not configured', ownBytes([file])));
    else kept.push({ name: file.name, sizeBytes: file.sizeBytes });
  }
  const unfinished = configured.filter((inspection) => inspection.found === undefined);
  const awaited = unfinished.flatMap(({ configured: model }) => [
    ...plainNames([model.layout, model.files]),
    ...(model.compile?.checkpoints.map(nameOf) ?? []),
  ]);
  const partials = contents.partials.filter(({ name }) => !awaited.some((wantedName) => name.startsWith(wantedName)));
  steps.push(...pruneLeftovers(partials, nowMs));

  const removed = new Set(steps.map((step) => step.path));
  const goneReal = new Set<string>();
  for (const repository of contents.repositories) {
    for (const blob of [...repository.blobs, ...repository.partials]) {
      if (blob.realPath === undefined) continue;
      const gone = removed.has(blob.path) || removed.has(repository.path);
      (gone ? goneReal : keptReal).add(blob.realPath);
    }
  }
  for (const blob of contents.sharedBlobs) {
    // Only what this plan releases: huggingface_hub's own store may hold more than any snapshot names.
    const { realPath = '' } = blob;
    if (goneReal.has(realPath) && !keptReal.has(realPath))
      steps.push(remove(blob.path, 'blob without a file', blob.sizeBytes));
  }
  steps.push(...pruneOptimized(prepared, configured, lock === undefined ? undefined : (lock.prepared ?? [])));
  steps.push(...pruneCompiled(compiled, configured, nowMs));
  return { steps, freedBytes: steps.reduce((sum, step) => sum + step.freedBytes, 0), kept };
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
  const dir = ({ path, sizeBytes }: { readonly path: string; readonly sizeBytes: number }, reason: PruneReason) =>
    ({ path, kind: 'directory', reason, freedBytes: sizeBytes }) as const;
  const unrecorded = prepared
    .filter(({ source }) => recorded !== undefined && used.has(source))
    .flatMap(({ source, forms }) =>
      forms.filter(({ form }) => !recorded?.some((record) => record.source === source && record.form === form)),
    );
  return [
    ...unused.map((source) => dir(source, 'optimized model of a model that is not configured')),
    ...unrecorded.map((form) => dir(form, 'optimized model that the lock file does not name')),
  ];
}

/** By repository: all of it, or the used paths by commit. */
type UsedFiles = Map<string, 'all' | Map<string, Set<string>>>;

function usedFiles(configured: readonly ModelInspection[]): UsedFiles {
  const used: UsedFiles = new Map();
  for (const inspection of configured) {
    const { configured: model, repository, revision, found, checkpoint } = inspection;
    const paths = [...model.files, ...(checkpoint?.files ?? [])].map((file) => file.path);
    if (model.layout === 'plain') {
      // A plain file may also be in its repository's directory, if Python downloaded it.
      const inRoot = found?.files.every((file) => file.blobId === undefined) ?? false;
      if (!inRoot) for (const source of model.sources) if (source.type === 'hf') used.set(source.repository, 'all');
      continue;
    }
    if (found === undefined || revision === undefined) {
      for (const source of model.sources) used.set(source.type === 'hf' ? source.repository : model.id, 'all');
      used.set(repository, 'all');
      continue;
    }
    const commits = used.get(repository) ?? new Map<string, Set<string>>();
    used.set(repository, commits);
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
  commits: ReadonlyMap<string, ReadonlySet<string>>,
  isOwn: (path: string) => boolean,
  nowMs: number,
): PruneStep[] {
  const links: PruneStep[] = [];
  const keptBlobs = new Set<string>();
  for (const ref of repository.refs) {
    // A ref to a missing commit makes huggingface_hub call the whole directory corrupt.
    if (!commits.has(ref.commit)) links.push(remove(ref.path, 'commit not configured', 0));
  }
  for (const snapshot of repository.snapshots) {
    const paths = commits.get(snapshot.commit);
    if (paths === undefined) {
      const freedBytes = snapshot.files.reduce((sum, file) => sum + unlinkedBytes(file), 0);
      links.push({ path: snapshot.path, kind: 'directory', reason: 'commit not configured', freedBytes });
      for (const dir of ['trees', '.no_exist']) {
        const name = dir === 'trees' ? `${snapshot.commit}.json` : snapshot.commit;
        const kind = dir === 'trees' ? 'file' : 'directory';
        links.push({ path: join(repository.path, dir, name), kind, reason: 'commit not configured', freedBytes: 0 });
      }
      continue;
    }
    for (const file of snapshot.files) {
      // A temporary name in a snapshot is a pointer being written.
      if (paths.has(file.path) || !isOwn(file.path) || isPartialName(file.path)) keptBlobs.add(file.blobPath);
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

function remove(path: string, reason: PruneReason, freedBytes: number): PruneStep {
  return { path, kind: 'file', reason, freedBytes };
}

/** Bytes freed with these blobs; a link into the shared store has none itself. */
function ownBytes(blobs: readonly CachedBlob[]): number {
  return sumSizes(blobs.filter((blob) => !blob.isLink));
}

/** Bytes of a snapshot's file that is not a link, as huggingface_hub writes where links are unsupported. */
function unlinkedBytes(file: CachedPointer): number {
  return file.blobPath === file.pointerPath ? (file.sizeBytes ?? 0) : 0;
}
