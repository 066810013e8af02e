/** Inspects one file of a model: presence, readability, size and name. */
import { access, constants, lstat, readlink, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { messageOf } from '@heimdex/common';
import { hashFile } from './content-hash.js';
import { CacheError } from './errors.js';
import { isExternalData } from './external-data.js';
import type { FileInspection, FoundFile } from './found-model.js';
import { unlessGone } from './if-there.js';
import { type ContentHash, hashOfBlobId } from './layout.js';
import { linkEscapeReason } from './link-target.js';
import type { LockedFile, LockedModel } from './lock-file.js';
import type { ConfiguredModel, ModelFile } from './manifest-types.js';
import { fileProblem, quickProblem } from './model-problems.js';
import { hashOfEntry, sizeOfEntry, type Tree, type TreeEntry } from './tree-file.js';

/** Parameters of the inspection. */
export interface FileSearch {
  readonly configured: ConfiguredModel;
  readonly locked: LockedModel | undefined;
  readonly signal: AbortSignal | undefined;
  readonly cacheDir: string;
}

/** Inspects the file at `path`. Problems are returned in `problem`; throws only if the signal is aborted. */
export async function inspectFile(
  search: FileSearch,
  file: ModelFile,
  path: string,
  tree: Tree | undefined,
): Promise<FileInspection> {
  const { configured } = search;
  const locked = search.locked?.files.find((candidate) => candidate.path === file.path);
  const nothing = { file, absolutePath: path, found: undefined };
  const about = { path: file.path, absolutePath: path };
  try {
    const found = await lookAt(search, file, path, locked, tree);
    if (found !== undefined) {
      const problem = quickProblem(configured, found);
      return problem === undefined ? { ...nothing, found, problem } : { ...nothing, problem };
    }
  } catch (cause) {
    search.signal?.throwIfAborted();
    if (cause instanceof CacheError) return { ...nothing, problem: cause };
    const problem = fileProblem(configured, about, 'FILE_UNREADABLE', messageOf(cause), cause);
    return { ...nothing, problem };
  }
  // External weights are required if the repository has them.
  const needed = file.required || locked !== undefined || (isExternalData(file.path) && tree?.has(file.path) === true);
  if (!needed) return { ...nothing, problem: undefined };
  return { ...nothing, problem: fileProblem(configured, about, 'FILE_MISSING', 'it is missing') };
}

/** Whether there is a file at `path`, also behind a link. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

async function lookAt(
  search: FileSearch,
  file: ModelFile,
  path: string,
  locked: LockedFile | undefined,
  tree: Tree | undefined,
): Promise<FoundFile | undefined> {
  const real = await unlessGone(realpath(path));
  if (real === undefined) return undefined;
  const leads = await linkEscapeReason(search.cacheDir, path, real);
  if (leads !== undefined)
    throw fileProblem(search.configured, { path: file.path, absolutePath: path }, 'PATH_UNSAFE', leads);
  const info = await stat(real);
  if (!info.isFile()) throw new Error('it is not a file');
  await access(real, constants.R_OK);
  // The first link names the blob; a second one, into Xet's shared store, names something else.
  const blobId = (await lstat(path)).isSymbolicLink() ? basename(await readlink(path)) : undefined;
  const listed = tree?.get(file.path);
  const named = blobId === undefined ? undefined : hashOfBlobId(blobId);
  const hash = expectedHash(locked?.sha256 ?? file.sha256, named, listed);
  // A plain file is identified by its sha256; if none is known, it is computed from its bytes.
  const isSelfHashed = hash === undefined && search.configured.layout === 'plain';
  const own = isSelfHashed ? await hashFile('sha256', real, search.signal) : undefined;
  return {
    path: file.path,
    weights: file.weights,
    absolutePath: path,
    blobPath: real,
    sizeBytes: info.size,
    expectedSizeBytes: locked?.sizeBytes ?? file.sizeBytes ?? (listed && sizeOfEntry(listed)),
    hash: own === undefined ? hash : { type: 'sha256', value: own },
    ...(isSelfHashed && { selfHashed: true }),
    blobId,
  };
}

function expectedHash(
  pinned: string | undefined,
  named: ContentHash | undefined,
  listed: TreeEntry | undefined,
): ContentHash | undefined {
  if (pinned !== undefined) return { type: 'sha256', value: pinned };
  if (named !== undefined || listed === undefined) return named;
  return hashOfBlobId(hashOfEntry(listed).value);
}
