/** Lists everything in a cache, for `list` and `prune`. Names, links and sizes; no file contents. */
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { sumSizes } from '@heimdex/common';
import { filesBelow, lstatIfThere, namesIn, unlessGone } from './if-there.js';
import { CACHEDIR_TAG_NAME, isCommit } from './layout.js';
import { LOCK_FILE_NAME } from './model-environment.js';
import { readText } from './read-text.js';

/** The whole cache. All paths are absolute. */
export interface CacheContents {
  readonly cacheDir: string;
  /** Bytes of all files, each counted once regardless of its names. */
  readonly sizeBytes: number;
  /** Sorted by name. */
  readonly repositories: readonly CachedRepository[];
  /** Files in the cache's root that are neither its tag nor its lock file. */
  readonly plainFiles: readonly CachedBlob[];
  /** Leftovers of downloads of plain files in the root and of OpenAI's checkpoints. */
  readonly partials: readonly CachedBlob[];
  /** Xet's shared store, `blobs/<2 digits>/<hash>`, which several repositories link into. */
  readonly sharedBlobs: readonly CachedBlob[];
}

/** One directory `models--org--name` (or `datasets--`, `spaces--`, which are listed but never changed). */
export interface CachedRepository {
  /** `org/name`. */
  readonly repository: string;
  /** `models` for what this project knows. */
  readonly kind: string;
  readonly path: string;
  /** Whether the directory is a link. */
  readonly isLink: boolean;
  /** Bytes of its blobs, copies and partial files; a shared blob counts here as well. */
  readonly sizeBytes: number;
  /** Last read of a blob or copy, as recorded by the file system; undefined without any. */
  readonly lastUsedMs: number | undefined;
  readonly refs: readonly CachedRef[];
  readonly snapshots: readonly CachedSnapshot[];
  readonly blobs: readonly CachedBlob[];
  /** Files of snapshots that are no links: huggingface_hub writes such ones where links are not supported. */
  readonly copies: readonly CachedBlob[];
  /** Leftovers of downloads: `<hash>.<8 digits>.incomplete` of huggingface_hub and ours, journals, temporary pointers and refs. */
  readonly partials: readonly CachedBlob[];
}

export interface CachedRef {
  /** `main`, `refs/pr/1`. */
  readonly name: string;
  readonly path: string;
  /** The commit, or whatever else the file contains. */
  readonly commit: string;
}

export interface CachedSnapshot {
  readonly commit: string;
  readonly path: string;
  readonly files: readonly CachedPointer[];
}

export interface CachedPointer {
  /** Path in the repository. */
  readonly path: string;
  readonly pointerPath: string;
  /** Target of the pointer; the pointer itself if it is a regular file. */
  readonly blobPath: string;
  /** Undefined: the link is dead. */
  readonly sizeBytes: number | undefined;
}

export interface CachedBlob {
  readonly name: string;
  readonly path: string;
  /** Whether it is a link, as blobs in Xet's shared store are. */
  readonly isLink: boolean;
  /** Real path of the bytes; undefined for a dead link. */
  readonly realPath: string | undefined;
  readonly sizeBytes: number;
  readonly lastUsedMs: number;
  readonly modifiedMs: number;
}

const REPOSITORY_DIR = /^(models|datasets|spaces|kernels)--(.+)$/s;
/** Files of other names in openai-whisper's directory are the user's. */
const WHISPER_PARTIAL = /\.pt\.[0-9a-f]{8}\.incomplete(\.journal(\.tmp)?)?$/;
const PARTIAL = /\.(incomplete|journal|tmp)$/;

/** Directories of models outside of any repository: compiled ones, optimized ones and OpenAI's checkpoints. */
const OTHER_DIRS = ['.compiled', '.prepared', 'whisper'];

/** Returns whether a name is that of a temporary file. */
export function isPartialName(name: string): boolean {
  return PARTIAL.test(name);
}

/**
 * Reads a cache's contents. A missing cache is empty, and what a running download removes meanwhile is skipped. Rejects if a
 * directory cannot be read.
 */
export async function scanCache(cacheDir: string): Promise<CacheContents> {
  const repositories: CachedRepository[] = [];
  const plainFiles: CachedBlob[] = [];
  const partials: CachedBlob[] = [];
  for (const name of await namesIn(cacheDir)) {
    const path = join(cacheDir, name);
    const match = REPOSITORY_DIR.exec(name);
    // The directory of a repository may be a link to another disk.
    if (match !== null && (await stat(path).catch(() => undefined))?.isDirectory()) {
      const [, kind = '', rest = ''] = match;
      repositories.push(await scanRepository(path, kind, rest.replaceAll('--', '/')));
      continue;
    }
    if (name === CACHEDIR_TAG_NAME || name === LOCK_FILE_NAME) continue;
    const blob = await blobAt(path);
    if (blob === undefined) continue;
    if (isPartialName(name)) partials.push(blob);
    else if (!name.startsWith('.')) plainFiles.push(blob);
  }
  const whisper = await scanFiles(join(cacheDir, 'whisper'));
  partials.push(...whisper.filter(({ name }) => WHISPER_PARTIAL.test(name)));
  const sharedBlobs = await scanFiles(join(cacheDir, 'blobs'));
  const others = await Promise.all(OTHER_DIRS.map((name) => scanFiles(join(cacheDir, name))));
  const sizeBytes = bytesOnDisk([
    ...repositories.flatMap((item) => [...item.blobs, ...item.copies, ...item.partials]),
    ...plainFiles,
    ...partials,
    ...sharedBlobs,
    ...others.flat(),
  ]);
  return { cacheDir, sizeBytes, repositories, plainFiles, partials, sharedBlobs };
}

async function scanRepository(path: string, kind: string, repository: string): Promise<CachedRepository> {
  const stored = await allAt(await namesIn(join(path, 'blobs')), (name) => blobAt(join(path, 'blobs', name)));
  const refNames = await filesBelow(join(path, 'refs'));
  const refs = await allAt(
    refNames.filter((name) => !isPartialName(name)),
    (name) => refAt(join(path, 'refs', name), name),
  );
  const commits = (await namesIn(join(path, 'snapshots'))).filter(isCommit);
  const snapshots = await allAt(commits, (commit) => scanSnapshot(join(path, 'snapshots', commit), commit));
  const pointers = snapshots.flatMap(({ files }) => files);
  const copied = pointers.filter((file) => file.blobPath === file.pointerPath && !isPartialName(file.path));
  const temporary = [
    ...refNames.filter(isPartialName).map((name) => join(path, 'refs', name)),
    ...pointers.filter(({ path: file }) => isPartialName(file)).map(({ pointerPath }) => pointerPath),
  ];
  const blobs = stored.filter(({ name }) => !isPartialName(name));
  const copies = await allAt(copied, ({ pointerPath }) => blobAt(pointerPath));
  const partials = [...stored.filter(({ name }) => isPartialName(name)), ...(await allAt(temporary, temporaryAt))];
  const sizeBytes = sumSizes([...blobs, ...copies, ...partials]);
  const usedMs = [...blobs, ...copies].map((blob) => blob.lastUsedMs);
  const lastUsedMs = usedMs.length === 0 ? undefined : Math.max(...usedMs);
  const isLink = (await lstatIfThere(path))?.isSymbolicLink() ?? false;
  return { repository, kind, path, isLink, sizeBytes, lastUsedMs, refs, snapshots, blobs, copies, partials };
}

/** What is found of each item, in turn, without those of which nothing is. */
async function allAt<Item, Found>(
  items: readonly Item[],
  find: (item: Item) => Promise<Found | undefined>,
): Promise<Found[]> {
  const all: Found[] = [];
  for (const item of items) {
    const found = await find(item);
    if (found !== undefined) all.push(found);
  }
  return all;
}

async function refAt(path: string, name: string): Promise<CachedRef | undefined> {
  const text = await unlessGone(readText(path));
  return text === undefined ? undefined : { name, path, commit: text.trim() };
}

/** Returns a pointer or a ref that is being written, or that a killed run left; undefined if it is gone. */
async function temporaryAt(path: string): Promise<CachedBlob | undefined> {
  const info = await lstatIfThere(path);
  if (info === undefined) return undefined;
  const isLink = info.isSymbolicLink();
  const { atimeMs: lastUsedMs, mtimeMs: modifiedMs } = info;
  const sizeBytes = isLink ? 0 : info.size;
  return { name: basename(path), path, isLink, realPath: undefined, sizeBytes, lastUsedMs, modifiedMs };
}

async function scanSnapshot(path: string, commit: string): Promise<CachedSnapshot> {
  const files: CachedPointer[] = [];
  for (const file of await filesBelow(path)) {
    const pointerPath = join(path, file);
    const info = await lstatIfThere(pointerPath);
    const link = info?.isSymbolicLink() ? await unlessGone(readlink(pointerPath)) : '';
    if (info === undefined || link === undefined) continue;
    const blobPath = link === '' ? pointerPath : resolve(dirname(pointerPath), link);
    files.push({ path: file, pointerPath, blobPath, sizeBytes: (await blobAt(blobPath))?.sizeBytes });
  }
  return { commit, path, files };
}

async function scanFiles(path: string): Promise<CachedBlob[]> {
  return allAt(await filesBelow(path), (file) => blobAt(join(path, file)));
}

/** Returns a file, or a link to one; undefined for anything else. */
async function blobAt(path: string): Promise<CachedBlob | undefined> {
  const name = basename(path);
  let isLink = false;
  try {
    isLink = (await lstat(path)).isSymbolicLink();
    const realPath = await realpath(path);
    const info = await stat(realPath);
    if (!info.isFile()) return undefined;
    const { size: sizeBytes, atimeMs: lastUsedMs, mtimeMs: modifiedMs } = info;
    return { name, path, isLink, realPath, sizeBytes, lastUsedMs, modifiedMs };
  } catch {
    // A dead link is included too: prune removes it.
    return isLink ? { name, path, isLink, realPath: undefined, sizeBytes: 0, lastUsedMs: 0, modifiedMs: 0 } : undefined;
  }
}

/** Returns the bytes of all files, each counted once regardless of its names. */
function bytesOnDisk(blobs: readonly CachedBlob[]): number {
  const sizes = new Map<string, number>();
  for (const blob of blobs) if (blob.realPath !== undefined) sizes.set(blob.realPath, blob.sizeBytes);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
