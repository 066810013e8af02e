import { lstat, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CACHEDIR_TAG_NAME,
  CACHEDIR_TAG_TEXT,
  COMPILED_MANIFEST_NAME,
  type CompiledManifest,
  compiledKeyName,
  compiledRepositoryPath,
  formatCompiledManifest,
  formatTree,
  isCommit,
  LINKS_ADVICE,
  pointerPath,
  pointerTarget,
  refPath,
  replaceFile,
  type Tree,
  temporaryPath,
  treePath,
} from '@heimdex/cache';
import { codeOf, messageOf } from '@heimdex/common';
import { asDiskError, makeDir, makeDirOf, throwDiskError } from './disk.js';
import { DownloaderError } from './errors.js';
import type { PlannedBlob, PlannedModel } from './plan.js';

/** Publishes each model of a plan as soon as its last blob is present, even if another model fails. */
export class Publisher {
  readonly #cacheDir: string;
  readonly #waiting: { readonly model: PlannedModel; readonly blobs: Set<PlannedBlob> }[];

  constructor(cacheDir: string, models: readonly PlannedModel[]) {
    this.#cacheDir = cacheDir;
    this.#waiting = models.map((model) => ({
      model,
      blobs: new Set(model.files.map(({ blob }) => blob).filter((blob) => blob.action !== 'keep')),
    }));
  }

  /** Records a blob as present and publishes the models that waited only for it. */
  async blobDone(blob: PlannedBlob): Promise<void> {
    for (const { blobs } of this.#waiting) blobs.delete(blob);
    await this.publishReady();
  }

  /** Publishes the models that wait for no blob. */
  async publishReady(): Promise<void> {
    for (let ready = this.#nextReady(); ready !== undefined; ready = this.#nextReady()) {
      await publishModel(this.#cacheDir, ready);
    }
  }

  #nextReady(): PlannedModel | undefined {
    const index = this.#waiting.findIndex(({ blobs }) => blobs.size === 0);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0]?.model;
  }
}

/** A model's snapshot to publish. */
export interface Snapshot {
  readonly repository: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** The configured revision. A branch or tag gets a ref; a commit has none. */
  readonly requestedRevision: string;
  /** The repository's tree list, if known. */
  readonly tree: Tree | undefined;
  readonly files: readonly { readonly path: string; readonly blobId: string }[];
}

/**
 * Publishes a snapshot whose blobs are all present: pointers, then the tree list, then the ref. The ref is written last, so
 * that it always points at a complete model. Each file appears atomically.
 * Throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function publishSnapshot(cacheDir: string, snapshot: Snapshot): Promise<void> {
  const { repository, commit, requestedRevision, tree } = snapshot;
  for (const { path, blobId } of snapshot.files) await publishPointer(cacheDir, repository, commit, path, blobId);
  if (tree !== undefined && (await isWhole(cacheDir, snapshot, tree))) {
    await writeText(treePath(cacheDir, repository, commit), formatTree(tree));
  }
  if (isCommit(requestedRevision)) return;
  // For huggingface_hub every file in refs is one: while it is empty, or if a kill leaves it so, the whole repository is corrupt.
  await writeText(refPath(cacheDir, repository, requestedRevision), commit, join(cacheDir, CACHEDIR_TAG_NAME));
}

/**
 * Returns whether a snapshot has every file of its repository. With a tree list of more files, huggingface_hub's
 * `snapshot_download(local_files_only=True)` calls the snapshot incomplete although all requested files are present; without
 * a list it accepts what it finds.
 */
async function isWhole(cacheDir: string, snapshot: Snapshot, tree: Tree): Promise<boolean> {
  const { repository, commit, files } = snapshot;
  const published = new Set(files.map(({ path }) => path));
  for (const path of tree.keys()) {
    if (published.has(path)) continue;
    if ((await linkTarget(pointerPath(cacheDir, repository, commit, path))) === undefined) return false;
  }
  return true;
}

/** A plain file is visible by its name already. */
async function publishModel(cacheDir: string, model: PlannedModel): Promise<void> {
  const { repository, commit, requestedRevision, tree } = model.remoteFiles;
  if (commit === undefined) return;
  const own = model.files.filter(({ offered }) => offered.volumePath === undefined);
  const files = own.map(({ offered }) => ({ path: offered.file.path, blobId: offered.hash.value }));
  await publishSnapshot(cacheDir, { repository, commit, requestedRevision, tree, files });
}

/** Publishes a compiled model whose files are all in its directory: compiled.json is written last. */
export async function publishCompiled(cacheDir: string, manifest: CompiledManifest): Promise<void> {
  const dir = join(compiledRepositoryPath(cacheDir, manifest.repository), compiledKeyName(manifest));
  await writeText(join(dir, COMPILED_MANIFEST_NAME), formatCompiledManifest(manifest));
}

/**
 * A volume whose file system has no relative symbolic links is refused before gigabytes are received.
 * Throws DownloaderError DISK_FAILED.
 */
export async function assertLinks(cacheDir: string): Promise<void> {
  const path = temporaryPath(join(cacheDir, CACHEDIR_TAG_NAME));
  try {
    await symlink(`../${CACHEDIR_TAG_NAME}`, path);
    // sshfs makes links with `..` in them, and does not read them.
    await readlink(path);
  } catch (error) {
    // Each file system has its own code for it. Where no file can be written either, the error is that of what has to be written,
    // which need not be here.
    if (!(await canWrite(cacheDir))) return;
    throw new DownloaderError(
      'DISK_FAILED',
      `${cacheDir} cannot be used: ${messageOf(error)}. ${LINKS_ADVICE}; then run: heimdex-downloader download`,
      { cause: error },
    );
  } finally {
    await rm(path, { force: true });
  }
}

async function canWrite(dir: string): Promise<boolean> {
  const path = temporaryPath(join(dir, CACHEDIR_TAG_NAME));
  try {
    await writeFile(path, '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  } finally {
    await rm(path, { force: true });
  }
}

/** Marks the cache with CACHEDIR.TAG so that backups may skip it, as huggingface_hub does. */
export async function publishCacheTag(cacheDir: string): Promise<void> {
  const path = join(cacheDir, CACHEDIR_TAG_NAME);
  await makeDir(cacheDir);
  await writeFile(path, CACHEDIR_TAG_TEXT, { flag: 'wx', mode: 0o644 }).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw asDiskError(error, path);
  });
}

async function publishPointer(
  cacheDir: string,
  repository: string,
  commit: string,
  path: string,
  blobId: string,
): Promise<void> {
  const pointer = pointerPath(cacheDir, repository, commit, path);
  const target = pointerTarget(path, blobId);
  if ((await linkTarget(pointer)) === target) return;
  const temporary = temporaryPath(pointer);
  try {
    await makeDirOf(pointer);
    await symlink(target, temporary);
    await rename(temporary, pointer);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, pointer);
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch {
    return undefined;
  }
}

async function writeText(path: string, text: string, besides?: string): Promise<void> {
  await replaceFile(path, text, besides).catch(throwDiskError(path));
}
