import { join } from 'node:path';
import {
  COMPILED_MANIFEST_NAME,
  type CompiledManifest,
  compiledFileName,
  compiledKeyName,
  compiledPath,
  compiledRepositoryPath,
  isCompiledPath,
  type LockedFile,
  type LockedModel,
} from '@heimdex/cache';
import { byPath } from '@heimdex/common';
import { type ArchivedBlob, slashed } from './archive-layout.js';

/** Returns the name of a compiled.json in an archive: its path in the cache. */
export function compiledManifestName(manifest: CompiledManifest): string {
  return `${dirName(manifest)}/${COMPILED_MANIFEST_NAME}`;
}

/** Returns whether an archive entry has the name of a compiled.json. */
export function isCompiledManifestName(name: string): boolean {
  return /^\.compiled\/models--[^/]+\/[0-9a-f]{32}\/compiled\.json$/.test(name);
}

/** Returns the graphs and weights of a compiled model, with sizes and hashes from the lock file. */
export function compiledBlobs(model: LockedModel, manifest: CompiledManifest): ArchivedBlob[] {
  return model.files
    .filter(({ path }) => isCompiledPath(path))
    .map(({ path, sizeBytes, sha256 }) => ({
      name: `${dirName(manifest)}/${compiledFileName(path)}`,
      sizeBytes,
      sha256,
      blobId: sha256,
      repository: model.repository,
    }));
}

/** Returns whether a compiled.json lists the same files as a locked model. */
export function isOfModel(model: LockedModel, manifest: CompiledManifest): boolean {
  if (model.repository !== manifest.repository || model.variant !== manifest.precision) return false;
  const files = manifest.graphs.flatMap((graph) => graph.files);
  const locked = new Map(model.files.map((file) => [file.path, file]));
  const compiled = model.files.filter(({ path }) => isCompiledPath(path));
  return (
    files.length === compiled.length &&
    files.every(({ name, sha256 }) => locked.get(compiledPath(name))?.sha256 === sha256)
  );
}

/** Returns the model without its checkpoint, if it is compiled from one. */
export function withoutSources(model: LockedModel, manifest: CompiledManifest | undefined): LockedModel {
  const sources = new Set(manifest?.sources.map(({ path }) => path));
  return { ...model, files: model.files.filter(({ path }) => !sources.has(path)) };
}

/** Returns the model with its checkpoint's hashes, as in the lock file of the machine that compiled it. */
export function withSources(model: LockedModel, { sources }: CompiledManifest): LockedModel {
  const files = sources.map(
    ({ path, sizeBytes, sha256 }): LockedFile => ({ path, sizeBytes, sha256, blobId: undefined }),
  );
  return { ...model, files: byPath([...model.files, ...files]) };
}

function dirName(manifest: CompiledManifest): string {
  return slashed(join(compiledRepositoryPath('', manifest.repository), compiledKeyName(manifest)));
}
