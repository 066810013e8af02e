import { posix, relative, sep } from 'node:path';
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
 * Name of the lock file, the first entry of an archive: it gives the reader every name, size and hash that may follow. Blobs,
 * pointers, tree lists and refs follow under their cache paths. Unpacked with any tar it is a cache; `import` verifies every
 * byte.
 */
export const ARCHIVE_LOCK_NAME = 'models.lock.json';

/** One blob of an archive. */
export interface ArchivedBlob {
  /** Path in the archive and in the cache, with `/`. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Blob name in the repository's directory; the sha256 for a plain file. */
  readonly blobId: string;
  readonly repository: string;
}

/** Returns the blob name of a locked file; its sha256 if the cache held a plain copy instead of a blob. */
export function blobIdOf(file: LockedFile): string {
  return file.blobId ?? file.sha256;
}

/** Returns the blobs of the locked models, each once. */
export function blobsOf(models: readonly LockedModel[]): ArchivedBlob[] {
  const blobs = new Map<string, ArchivedBlob>();
  for (const model of models) {
    for (const file of filesOf(model)) {
      const blobId = blobIdOf(file);
      const path =
        model.layout === 'plain' ? plainPath('', posix.basename(file.path)) : blobPath('', model.repository, blobId);
      const name = slashed(path);
      const { sizeBytes, sha256 } = file;
      blobs.set(name, { name, sizeBytes, sha256, blobId, repository: model.repository });
    }
  }
  return [...blobs.values()];
}

/** Returns the files of a model's snapshot. Compiled files are stored elsewhere. */
export function filesOf(model: LockedModel): readonly LockedFile[] {
  return model.files.filter(({ path }) => !isCompiledPath(path));
}

/** Returns the symbolic links of a model: name and target. */
export function pointersOf(model: LockedModel): { readonly name: string; readonly target: string }[] {
  if (model.layout === 'plain') return [];
  return filesOf(model).map((file) => ({
    name: slashed(pointerPath('', model.repository, model.revision, file.path)),
    target: pointerTarget(file.path, blobIdOf(file)),
  }));
}

/** Returns the name of a model's tree list; undefined for a plain file. */
export function treeNameOf(model: LockedModel): string | undefined {
  return model.layout === 'plain' ? undefined : slashed(treePath('', model.repository, model.revision));
}

/** Returns the name of a model's ref; undefined if it has none. */
export function refNameOf(model: LockedModel): string | undefined {
  if (model.layout === 'plain' || isCommit(model.requestedRevision)) return undefined;
  return slashed(refPath('', model.repository, model.requestedRevision));
}

/** Returns a path of the cache as the name of an archive's entry. */
export function slashed(path: string): string {
  return relative('', path).split(sep).join('/');
}
