import { randomBytes } from 'node:crypto';
import { lstat, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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
  pointerPath,
  pointerTarget,
  refPath,
  type Tree,
  treePath,
} from '@heimdex/cache';
import { asDiskError, makeDir, makeDirOf } from './disk.js';
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

/** A model's snapshot, ready to be seen. */
export interface Snapshot {
  readonly repository: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** What was asked for. A branch or tag gets a ref; a commit has none. */
  readonly requestedRevision: string;
  /** The repository's list of files, where it is known. */
  readonly tree: Tree | undefined;
  readonly files: readonly { readonly path: string; readonly blobId: string }[];
}

/**
 * Makes a snapshot visible whose blobs are all there: pointers, then the list of files, then the ref, which is written
 * last so that a ref of ours means a whole model. Each appears in one step.
 *
 * @throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function publishSnapshot(cacheDir: string, snapshot: Snapshot): Promise<void> {
  const { repository, commit, requestedRevision, tree } = snapshot;
  for (const { path, blobId } of snapshot.files) await publishPointer(cacheDir, repository, commit, path, blobId);
  if (tree !== undefined && (await isWhole(cacheDir, snapshot, tree))) {
    await replaceFile(treePath(cacheDir, repository, commit), formatTree(tree));
  }
  if (!isCommit(requestedRevision)) await replaceFile(refPath(cacheDir, repository, requestedRevision), commit);
}

/**
 * Whether a snapshot has every file of its repository. With a list of more than that, huggingface_hub's
 * `snapshot_download(local_files_only=True)` calls the snapshot incomplete, though all that was asked for is there;
 * without a list it takes what it finds.
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

/** Makes a compiled model visible whose files all lie in its directory: what it was made of is written last. */
export async function publishCompiled(cacheDir: string, manifest: CompiledManifest): Promise<void> {
  const dir = join(compiledRepositoryPath(cacheDir, manifest.repository), compiledKeyName(manifest));
  await replaceFile(join(dir, COMPILED_MANIFEST_NAME), formatCompiledManifest(manifest));
}

/** Marks the cache as something a backup may pass over, as huggingface_hub does. */
export async function publishCacheTag(cacheDir: string): Promise<void> {
  const path = join(cacheDir, CACHEDIR_TAG_NAME);
  await makeDir(cacheDir);
  try {
    await writeFile(path, CACHEDIR_TAG_TEXT, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    throw asDiskError(error, path);
  }
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

/** Puts a text under its name in one step, readable by every user whatever the umask says. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = temporaryOf(path);
  try {
    await makeDirOf(path);
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
