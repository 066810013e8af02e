import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  assertInsideCache,
  blobLockPath,
  CacheError,
  COMPILED_MANIFEST_NAME,
  type CompiledManifest,
  type ContentHash,
  hashFile,
  isCompiledPath,
  type LockedModel,
  type ModelsLock,
  parseCompiledManifest,
  parseLock,
  parseTree,
  type Tree,
} from '@heimdex/cache';
import { MIB, messageOf } from '@heimdex/common';
import { acquireLock, type LockEvents, whileHeld } from '../blob-lock.js';
import { asDiskError, makeDirOf } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { collectBytes } from '../transfer/collect-bytes.js';
import { removeLeftovers } from '../transfer/leftovers.js';
import { ARCHIVE_LOCK_NAME, type ArchivedBlob, blobsOf, treeNameOf } from './archive-layout.js';
import { compiledBlobs, compiledManifestName, isCompiledManifestName, isOfModel } from './compiled-entries.js';
import { receive } from './receive-blob.js';
import { type TarEntry, tarEntries } from './tar-entries.js';

/** Result of reading an archive. */
export interface ReadArchive {
  readonly lock: ModelsLock;
  /** Tree lists by repository and commit: `org/name@<commit>`. */
  readonly trees: ReadonlyMap<string, Tree>;
  /** Manifests of the compiled models, by locked model. */
  readonly compiled: ReadonlyMap<LockedModel, CompiledManifest>;
  /** All files of the archive, whose bytes were read here or on the volume. */
  readonly verified: readonly { readonly finalPath: string; readonly hash: ContentHash }[];
  readonly receivedFiles: number;
  readonly receivedBytes: number;
  /** Files already on the volume with the right bytes. */
  readonly present: readonly ArchivedBlob[];
}

/** Options of `readArchive`. */
export interface ReadArchiveOptions {
  readonly cacheDir: string;
  readonly locks: LockEvents;
  /** Called with all blobs still missing whenever more become known, before they are read; throws if they do not fit on the volume. */
  readonly onMissing: (missing: readonly ArchivedBlob[]) => Promise<void>;
}

/** The lock file and tree lists are kept in memory up to this size. */
const MAX_TEXT_BYTES = 64 * MIB;

/**
 * Reads an archive into the cache's blobs and verifies every byte. Entry names are never used as paths: only blobs that the
 * lock file lists are accepted, and their paths come from its hashes. The caller creates pointers and refs.
 * Throws CacheError PATH_UNSAFE; DownloaderError ARCHIVE_INVALID, HASH_MISMATCH, DISK_FULL, DISK_FAILED.
 */
export async function readArchive(
  input: Readable,
  options: ReadArchiveOptions,
  signal: AbortSignal,
): Promise<ReadArchive> {
  const reader = new ArchiveReader(options, signal);
  try {
    for await (const entry of tarEntries(input, signal)) await reader.accept(entry);
    return await reader.result();
  } catch (error) {
    signal.throwIfAborted();
    const known = asDiskError(error, options.cacheDir);
    if (known instanceof DownloaderError || known instanceof CacheError) throw known;
    // tar-stream reports an invalid header in these words.
    throw messageOf(error).includes('gunzipped') ? notTar(error) : invalid(messageOf(error), error);
  } finally {
    await reader.close();
  }
}

class ArchiveReader {
  readonly #options: ReadArchiveOptions;
  readonly #signal: AbortSignal;
  readonly #trees = new Map<string, Tree>();
  readonly #missing = new Map<string, ArchivedBlob>();
  readonly #verified: ArchivedBlob[] = [];
  readonly #present: ArchivedBlob[] = [];
  readonly #treeNames = new Map<string, string>();
  readonly #compiled = new Map<LockedModel, CompiledManifest>();
  /** Temporary paths of files that are not named by their hash: they would take the place of others before the whole archive is verified. */
  readonly #held = new Map<ArchivedBlob, string>();
  #lock: ModelsLock | undefined;
  #receivedFiles = 0;
  #receivedBytes = 0;

  constructor(options: ReadArchiveOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async accept(entry: TarEntry): Promise<void> {
    const { name, type } = entry.header;
    if (this.#lock === undefined) {
      if (name !== ARCHIVE_LOCK_NAME) throw invalid(`expected ${ARCHIVE_LOCK_NAME} as the first entry, got "${name}"`);
      await this.#readLock(await textOf(entry));
      return;
    }
    const blob = this.#missing.get(name);
    const tree = this.#treeNames.get(name);
    if (blob !== undefined && type === 'file') {
      await this.#readBlob(blob, entry);
    } else if (isCompiledManifestName(name) && type === 'file') {
      await this.#readCompiled(name, await textOf(entry), this.#lock);
    } else if (tree !== undefined && type === 'file') {
      const files = parseTree(await textOf(entry));
      if (files !== undefined) this.#trees.set(tree, files);
    } else {
      // Pointers and refs are created from the lock file.
      entry.resume();
    }
  }

  /** Removes what was not published. */
  async close(): Promise<void> {
    for (const temporary of this.#held.values()) await rm(temporary, { force: true });
  }

  async result(): Promise<ReadArchive> {
    if (this.#lock === undefined) throw invalid('the archive is empty');
    const [left] = this.#missing.values();
    if (left !== undefined) throw invalid(`${left.name} is in its lock file but missing from the archive`);
    for (const model of this.#lock.models) {
      const isCompiled = model.files.some(({ path }) => isCompiledPath(path));
      if (isCompiled && !this.#compiled.has(model))
        throw invalid(`the compiled.json of ${model.repository} is missing`);
    }
    await this.#publishHeld();
    return {
      lock: this.#lock,
      trees: this.#trees,
      compiled: this.#compiled,
      verified: this.#verified.map((blob) => ({
        finalPath: this.#pathOf(blob),
        hash: { type: 'sha256', value: blob.sha256 },
      })),
      receivedFiles: this.#receivedFiles,
      receivedBytes: this.#receivedBytes,
      present: this.#present,
    };
  }

  async #readLock(text: string): Promise<void> {
    const lock = lockOf(text);
    for (const model of lock.models) {
      const name = treeNameOf(model);
      if (name !== undefined) this.#treeNames.set(name, `${model.repository}@${model.revision}`);
    }
    const blobs = blobsOf(lock.models);
    // Written through a link out of the cache, no reader would use them.
    for (const blob of blobs) await assertInsideCache(this.#options.cacheDir, this.#pathOf(blob));
    await this.#expect(blobs);
    this.#lock = lock;
  }

  /** compiled.json names files whose hashes are in the lock file. */
  async #readCompiled(name: string, text: string, lock: ModelsLock): Promise<void> {
    const manifest = parseCompiledManifest(text);
    const model = lock.models.find((candidate) => isOfModel(candidate, manifest));
    if (name !== compiledManifestName(manifest) || model === undefined)
      throw invalid(`${name} does not belong to a model in its lock file`);
    this.#compiled.set(model, manifest);
    await this.#expect(compiledBlobs(model, manifest));
  }

  async #expect(blobs: readonly ArchivedBlob[]): Promise<void> {
    for (const blob of blobs) {
      this.#verified.push(blob);
      if (await this.#isThere(blob)) this.#present.push(blob);
      else this.#missing.set(blob.name, blob);
    }
    await this.#options.onMissing([...this.#missing.values()]);
  }

  async #isThere(blob: ArchivedBlob): Promise<boolean> {
    const path = this.#pathOf(blob);
    try {
      const { size } = await stat(path);
      return size === blob.sizeBytes && (await hashFile('sha256', path, this.#signal)) === blob.sha256;
    } catch {
      this.#signal.throwIfAborted();
      return false;
    }
  }

  async #publishHeld(): Promise<void> {
    const compiled = [...this.#held.keys()].filter(({ name }) => name.startsWith('.compiled/'));
    // That of the same checkpoint, compiled elsewhere, may name other bytes. Without it the directory is no model.
    for (const blob of compiled) await rm(join(dirname(this.#pathOf(blob)), COMPILED_MANIFEST_NAME), { force: true });
    for (const [blob, temporary] of this.#held) await this.#publish(blob, temporary);
  }

  async #publish(blob: ArchivedBlob, temporary: string): Promise<void> {
    const path = this.#pathOf(blob);
    await rename(temporary, path).catch(async (error: unknown) => {
      // Another import has published it, and removed this one's.
      if (!(await this.#isThere(blob))) throw error;
    });
    await removeLeftovers(path);
  }

  #pathOf(blob: ArchivedBlob): string {
    return join(this.#options.cacheDir, ...blob.name.split('/'));
  }

  async #readBlob(blob: ArchivedBlob, entry: TarEntry): Promise<void> {
    const { cacheDir, locks } = this.#options;
    const path = this.#pathOf(blob);
    await makeDirOf(path);
    const lock = await acquireLock(blobLockPath(cacheDir, blob.repository, blob.blobId), locks, this.#signal);
    await whileHeld(lock, async () => {
      const temporary = await receive(blob, entry, path, this.#signal);
      if (isNamedByHash(blob)) await this.#publish(blob, temporary);
      else this.#held.set(blob, temporary);
    });
    this.#missing.delete(blob.name);
    this.#receivedFiles += 1;
    this.#receivedBytes += blob.sizeBytes;
  }
}

function isNamedByHash({ name, blobId }: ArchivedBlob): boolean {
  return name.endsWith(`/blobs/${blobId}`);
}

async function textOf(entry: TarEntry): Promise<string> {
  const bytes = await collectBytes(entry as AsyncIterable<Buffer>, MAX_TEXT_BYTES);
  if (bytes === undefined) throw invalid(`${entry.header.name} is larger than ${MAX_TEXT_BYTES} bytes`);
  return bytes.toString('utf8');
}

function lockOf(text: string): ModelsLock {
  try {
    return parseLock(text, ARCHIVE_LOCK_NAME);
  } catch (error) {
    // Its message says to delete the lock file, which is the archive's.
    throw invalid(`${ARCHIVE_LOCK_NAME}: ${messageOf((error as CacheError).cause)}`, error);
  }
}

function invalid(what: string, cause?: unknown): DownloaderError {
  return new DownloaderError(
    'ARCHIVE_INVALID',
    `Invalid or incomplete archive: ${what}. Export it again on the machine with the models: heimdex-downloader export FILE`,
    { cause },
  );
}

function notTar(cause: unknown): DownloaderError {
  return new DownloaderError(
    'ARCHIVE_INVALID',
    'The archive is not a tar file: it is compressed or damaged. If it is compressed: gunzip -c FILE | heimdex-downloader import -',
    { cause },
  );
}
