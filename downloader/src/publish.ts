import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  CACHEDIR_TAG_NAME,
  CACHEDIR_TAG_TEXT,
  formatTree,
  isCommit,
  pointerPath,
  pointerTarget,
  refPath,
  treePath,
} from '@heimdex/cache';
import type { Catalogue } from './catalogue.js';
import { asDiskError, makeFolderOf } from './disk.js';
import type { PlannedBlob, PlannedModel } from './plan.js';

/** Publishes each model of a plan as soon as the last of its blobs is there, also when another model fails. */
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

  /** A blob is there now. Publishes what waited for it alone. */
  async blobDone(blob: PlannedBlob): Promise<void> {
    for (const { blobs } of this.#waiting) blobs.delete(blob);
    await this.publishReady();
  }

  /** Publishes the models that wait for nothing. */
  async publishReady(): Promise<void> {
    for (let ready = this.#takeReady(); ready !== undefined; ready = this.#takeReady()) {
      await publishModel(this.#cacheDir, ready);
    }
  }

  #takeReady(): PlannedModel | undefined {
    const index = this.#waiting.findIndex(({ blobs }) => blobs.size === 0);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0]?.model;
  }
}

/**
 * Makes a model visible whose blobs are all there: pointers, then the list of files, then the ref, which is written last
 * so that a ref of ours means a whole model. Each appears in one step. A plain file is visible by its name already.
 *
 * @throws DownloaderError DISK_FULL or DISK_FAILED.
 */
async function publishModel(cacheDir: string, model: PlannedModel): Promise<void> {
  const { catalogue } = model;
  const { repository, commit, tree } = catalogue;
  if (commit === undefined) return;
  for (const { offered } of model.files) {
    await publishPointer(cacheDir, repository, commit, offered.file.path, offered.hash.value);
  }
  if (tree !== undefined) await replaceFile(treePath(cacheDir, repository, commit), formatTree(tree));
  await publishRef(cacheDir, catalogue, commit);
}

/** Marks the cache as something a backup may pass over, as huggingface_hub does. */
export async function publishCacheTag(cacheDir: string): Promise<void> {
  const path = join(cacheDir, CACHEDIR_TAG_NAME);
  try {
    await mkdir(cacheDir, { recursive: true, mode: 0o755 });
    await writeFile(path, CACHEDIR_TAG_TEXT, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    throw asDiskError(error, path);
  }
}

/** A commit asked for by itself has no ref. */
async function publishRef(cacheDir: string, catalogue: Catalogue, commit: string): Promise<void> {
  const { repository, requestedRevision } = catalogue;
  if (isCommit(requestedRevision)) return;
  await replaceFile(refPath(cacheDir, repository, requestedRevision), commit);
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
  const temporary = temporaryOf(pointer);
  try {
    await makeFolderOf(pointer);
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

/** Puts a text under its name in one step, readable by every user whatever the umask says. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = temporaryOf(path);
  try {
    await makeFolderOf(path);
    await writeFile(temporary, text, { mode: 0o644, flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, path);
  }
}

/** Beside the final path, for a rename must stay on the volume; not inside a snapshot's view for longer than a moment. */
function temporaryOf(path: string): string {
  return join(dirname(path), `.${randomBytes(4).toString('hex')}.heimdex.tmp`);
}
