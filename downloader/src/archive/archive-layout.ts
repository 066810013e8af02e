import { relative, sep } from 'node:path';
import {
  blobPath,
  isCommit,
  isCompiledPath,
  type LockedFile,
  type LockedModel,
  plainPath,
  pointerPath,
  pointerTarget,
  refPath,
  treePath,
} from '@heimdex/cache';

/**
 * What an archive holds: the lock file first, by which the reader knows every name, size and hash that may follow, then
 * blobs, pointers, lists of files and refs by their paths in the cache. Unpacked with any tar it is a cache; `import`
 * proves it on the way.
 */
export const ARCHIVE_LOCK_NAME = 'models.lock.json';

/** One file's bytes in an archive. */
export interface ArchivedBlob {
  /** Path in the archive, and in the cache, with `/`. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The blob's name in the repository's directory; of a plain file its sha256. */
  readonly blobId: string;
  readonly repository: string;
}

/** The blob's name of a locked file. Where a cache held a plain copy instead of a blob, the hash stands in. */
export function blobIdOf(file: LockedFile): string {
  return file.blobId ?? file.sha256;
}

/** The bytes that the models of a lock consist of, each once. */
export function blobsOf(models: readonly LockedModel[]): ArchivedBlob[] {
  const blobs = new Map<string, ArchivedBlob>();
  for (const model of models) {
    for (const file of filesOf(model)) {
      const blobId = blobIdOf(file);
      const path =
        model.layout === 'plain' ? plainPath('', baseName(file.path)) : blobPath('', model.repository, blobId);
      const name = slashed(path);
      const { sizeBytes, sha256 } = file;
      blobs.set(name, { name, sizeBytes, sha256, blobId, repository: model.repository });
    }
  }
  return [...blobs.values()];
}

/** The files of a model's snapshot: compiled ones lie elsewhere. */
export function filesOf(model: LockedModel): readonly LockedFile[] {
  return model.files.filter(({ path }) => !isCompiledPath(path));
}

/** Symbolic links of a model: name and what it says. */
export function pointersOf(model: LockedModel): { readonly name: string; readonly target: string }[] {
  if (model.layout === 'plain') return [];
  return filesOf(model).map((file) => ({
    name: slashed(pointerPath('', model.repository, model.revision, file.path)),
    target: pointerTarget(file.path, blobIdOf(file)),
  }));
}

/** Name of a model's list of files; undefined for a plain file. */
export function treeNameOf(model: LockedModel): string | undefined {
  return model.layout === 'plain' ? undefined : slashed(treePath('', model.repository, model.revision));
}

/** Name of a model's ref; undefined where it has none. */
export function refNameOf(model: LockedModel): string | undefined {
  if (model.layout === 'plain' || isCommit(model.requestedRevision)) return undefined;
  return slashed(refPath('', model.repository, model.requestedRevision));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function slashed(path: string): string {
  return relative('', path).split(sep).join('/');
}
