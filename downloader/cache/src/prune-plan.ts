/** What no configured model needs, as a list of things to remove. Pure: it only looks at what scanCache has read. */
import { join } from 'node:path';
import type { FoundModel, ModelInspection } from './found-model.js';
import type { Manifest } from './manifest-types.js';
import { type PreparedSource, unusedPrepared } from './prepared-place.js';
import type { PreparedRecord } from './prepared-record.js';
import {
  type CacheContents,
  type CachedBlob,
  type CachedPointer,
  type CachedRepository,
  isPartialName,
} from './scan-cache.js';

/** Why something may go. */
export type PruneReason =
  | 'repository not configured'
  | 'commit not configured'
  | 'file not configured'
  | 'blob without a file'
  | 'left by a download'
  | 'plain file not configured'
  | 'prepared for a model that is not configured'
  | 'prepared form that the lock file does not name';

/** One thing to remove: a file, a link or a folder with all in it. */
export interface PruneStep {
  readonly path: string;
  readonly kind: 'file' | 'folder';
  readonly reason: PruneReason;
  /** Bytes that are free afterwards; 0 for links and for bytes that something else still has. */
  readonly freedBytes: number;
}

export interface PrunePlan {
  /** In the order to remove them: what points before what is pointed at, so that an end halfway leaves no dead link. */
  readonly steps: readonly PruneStep[];
  readonly freedBytes: number;
}

/**
 * Plans what to remove. Kept: for every configured model the commit it is used at with the files its variant has; all
 * of a repository whose model was not found, for it may be half downloaded; what may belong to a
 * download under way; repositories of data sets and spaces; plain files that no manifest entry names.
 *
 * @param prepared What scanPrepared gives. It stays as long as a configured model was not found, for it may be that one's.
 * @param recorded The lock file's records of prepared forms: the server uses no others. Absent: not looked at.
 * @param leftoversBeforeMs Partial files, and blobs that no snapshot ever pointed at, stay when they changed after this
 * time: a download under way may have written them.
 */
export function planPrune(
  contents: CacheContents,
  configured: readonly ModelInspection[],
  manifest: Manifest,
  leftoversBeforeMs: number,
  prepared: readonly PreparedSource[] = [],
  recorded?: readonly PreparedRecord[],
): PrunePlan {
  const wanted = wantedFiles(configured);
  const steps: PruneStep[] = [];
  const keptReal = new Set<string>();
  for (const repository of contents.repositories.filter(({ kind }) => kind === 'models')) {
    const commits = wanted.get(repository.repository);
    if (commits === undefined) {
      const freedBytes = ownBytes([...repository.blobs, ...repository.partials]);
      steps.push({ path: repository.path, kind: 'folder', reason: 'repository not configured', freedBytes });
    } else if (commits !== 'all') {
      steps.push(...pruneRepository(repository, commits, leftoversBeforeMs));
    }
  }
  steps.push(...prunePlainFiles(contents, configured, manifest));
  const unfinished = configured.filter((inspection) => inspection.found === undefined);
  const awaited = unfinished.flatMap(({ configured: model }) => plainNames([model.layout, model.files]));
  const partials = contents.partials.filter(({ name }) => !awaited.some((wantedName) => name.startsWith(wantedName)));
  steps.push(...pruneLeftovers(partials, leftoversBeforeMs));

  const removed = new Set(steps.map((step) => step.path));
  const gone = (blob: CachedBlob, repository?: CachedRepository) =>
    removed.has(blob.path) || (repository !== undefined && removed.has(repository.path));
  for (const repository of contents.repositories) {
    for (const blob of [...repository.blobs, ...repository.partials]) {
      if (!gone(blob, repository) && blob.realPath !== undefined) keptReal.add(blob.realPath);
    }
  }
  for (const blob of contents.sharedBlobs) {
    if (keptReal.has(blob.realPath ?? '')) continue;
    steps.push(remove(blob.path, 'blob without a file', blob.sizeBytes));
  }
  steps.push(...prunePrepared(prepared, configured, recorded));
  return { steps, freedBytes: steps.reduce((sum, step) => sum + step.freedBytes, 0) };
}

function prunePrepared(
  prepared: readonly PreparedSource[],
  configured: readonly ModelInspection[],
  recorded: readonly PreparedRecord[] | undefined,
): PruneStep[] {
  const found = configured.flatMap(({ found: model }): FoundModel[] => (model === undefined ? [] : [model]));
  if (found.length < configured.length) return [];
  const unused = unusedPrepared(prepared, found);
  const folder = ({ path, sizeBytes }: { readonly path: string; readonly sizeBytes: number }, reason: PruneReason) =>
    ({ path, kind: 'folder', reason, freedBytes: sizeBytes }) as const;
  const unrecorded = prepared
    .filter((source) => recorded !== undefined && !unused.includes(source))
    .flatMap(({ source, forms }) =>
      forms.filter(({ form }) => !recorded?.some((record) => record.source === source && record.form === form)),
    );
  return [
    ...unused.map((source) => folder(source, 'prepared for a model that is not configured')),
    ...unrecorded.map((form) => folder(form, 'prepared form that the lock file does not name')),
  ];
}

/** By repository: all of it, or by commit the paths that are used. */
type Wanted = Map<string, 'all' | Map<string, Set<string>>>;

function wantedFiles(configured: readonly ModelInspection[]): Wanted {
  const wanted: Wanted = new Map();
  for (const inspection of configured) {
    const { configured: model, repository, revision, found } = inspection;
    const paths = model.files.map((file) => file.path);
    if (model.layout === 'plain') {
      // A plain file may also lie in its repository's folder, where Python put it.
      const inRoot = found?.files.every((file) => file.blobId === undefined) ?? false;
      if (!inRoot) for (const source of model.sources) if (source.type === 'hf') wanted.set(source.repository, 'all');
      continue;
    }
    if (found === undefined || revision === undefined) {
      for (const source of model.sources) wanted.set(source.type === 'hf' ? source.repository : model.id, 'all');
      wanted.set(repository, 'all');
      continue;
    }
    const commits = wanted.get(repository) ?? new Map<string, Set<string>>();
    wanted.set(repository, commits);
    if (commits !== 'all') commits.set(revision, new Set([...(commits.get(revision) ?? []), ...paths]));
  }
  return wanted;
}

function pruneRepository(
  repository: CachedRepository,
  commits: ReadonlyMap<string, ReadonlySet<string>>,
  leftoversBeforeMs: number,
): PruneStep[] {
  const links: PruneStep[] = [];
  const keptBlobs = new Set<string>();
  for (const ref of repository.refs) {
    // A ref to a commit that is not there makes huggingface_hub call the whole folder corrupt.
    if (!commits.has(ref.commit)) links.push(remove(ref.path, 'commit not configured', 0));
  }
  for (const snapshot of repository.snapshots) {
    const paths = commits.get(snapshot.commit);
    if (paths === undefined) {
      const freedBytes = snapshot.files.reduce((sum, file) => sum + unlinkedBytes(file), 0);
      links.push({ path: snapshot.path, kind: 'folder', reason: 'commit not configured', freedBytes });
      for (const folder of ['trees', '.no_exist']) {
        const name = folder === 'trees' ? `${snapshot.commit}.json` : snapshot.commit;
        const kind = folder === 'trees' ? 'file' : 'folder';
        links.push({ path: join(repository.path, folder, name), kind, reason: 'commit not configured', freedBytes: 0 });
      }
      continue;
    }
    for (const file of snapshot.files) {
      // A temporary name in a snapshot is a pointer on its way.
      if (paths.has(file.path) || isPartialName(file.path)) keptBlobs.add(file.blobPath);
      else links.push(remove(file.pointerPath, 'file not configured', unlinkedBytes(file)));
    }
  }
  const pointedAt = new Set(repository.snapshots.flatMap((snapshot) => snapshot.files.map((file) => file.blobPath)));
  const blobs = repository.blobs.filter(
    (blob) => !keptBlobs.has(blob.path) && (pointedAt.has(blob.path) || blob.modifiedMs < leftoversBeforeMs),
  );
  return [
    ...links,
    ...blobs.map((blob) => remove(blob.path, 'blob without a file', ownBytes([blob]))),
    ...pruneLeftovers(repository.partials, leftoversBeforeMs),
  ];
}

function pruneLeftovers(partials: readonly CachedBlob[], leftoversBeforeMs: number): PruneStep[] {
  return partials
    .filter((partial) => partial.modifiedMs < leftoversBeforeMs)
    .map((partial) => remove(partial.path, 'left by a download', ownBytes([partial])));
}

function prunePlainFiles(
  contents: CacheContents,
  configured: readonly ModelInspection[],
  manifest: Manifest,
): PruneStep[] {
  const used = new Set(configured.flatMap(({ configured: model }) => plainNames([model.layout, model.files])));
  const known = new Set(
    manifest.entries.flatMap((entry) =>
      Object.values(entry.variants).flatMap((files) => plainNames([entry.layout, files])),
    ),
  );
  return contents.plainFiles
    .filter(({ name }) => known.has(name) && !used.has(name))
    .map((file) => remove(file.path, 'plain file not configured', ownBytes([file])));
}

function plainNames([layout, files]: [string, readonly { readonly path: string }[]]): string[] {
  return layout === 'plain' ? files.map((file) => file.path) : [];
}

function remove(path: string, reason: PruneReason, freedBytes: number): PruneStep {
  return { path, kind: 'file', reason, freedBytes };
}

/** Bytes that go with these blobs; one that is a link into the shared store has none itself. */
function ownBytes(blobs: readonly CachedBlob[]): number {
  return blobs.filter((blob) => !blob.isLink).reduce((sum, blob) => sum + blob.sizeBytes, 0);
}

/** Bytes of a snapshot's file that is no link, as huggingface_hub writes where links are not supported. */
function unlinkedBytes(file: CachedPointer): number {
  return file.blobPath === file.pointerPath ? (file.sizeBytes ?? 0) : 0;
}
