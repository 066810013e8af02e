/**
 * The Hugging Face hub cache as huggingface_hub writes and reads it (file_download.py, _tree_cache.py and
 * utils/_cache_manager.py of releases 1.x and 2.x), as pure functions over paths.
 */
import { join } from 'node:path';
import { CacheError } from './errors.js';
import { assertSafePath } from './safe-path.js';

/** The hash in a blob's name: the sha256 of a large file, or git's sha1 of a regular one. */
export interface ContentHash {
  readonly type: 'sha256' | 'git-sha1';
  /** Lower-case hexadecimal, 64 or 40 digits. */
  readonly value: string;
}

const REPOSITORY = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;
export const COMMIT = /^[0-9a-f]{40}$/;

/** Whether a text is a whole commit: 40 hexadecimal digits. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/** Whether a text has the form of a hub repository, `org/name` (or the few old ones without an organisation). */
export function isRepositoryName(text: string): boolean {
  return text.length <= 96 && REPOSITORY.test(text) && !text.includes('--') && !text.includes('..');
}

/** `models--org--name`. Throws PATH_UNSAFE for anything that is not a repository's name. */
export function repoDirName(repository: string): string {
  if (!isRepositoryName(repository)) {
    throw new CacheError('PATH_UNSAFE', `Expected a hub repository such as org/name, got "${repository}"`);
  }
  return `models--${repository.replace('/', '--')}`;
}

/** The directory of a repository in the cache. */
export function repoPath(cacheDir: string, repository: string): string {
  return join(cacheDir, repoDirName(repository));
}

/** `blobs/<hash>` of a repository. */
export function blobPath(cacheDir: string, repository: string, blobId: string): string {
  return join(repoPath(cacheDir, repository), 'blobs', assertBlobId(blobId));
}

/** `snapshots/<commit>` of a repository. */
export function snapshotPath(cacheDir: string, repository: string, commit: string): string {
  return join(repoPath(cacheDir, repository), 'snapshots', assertCommit(commit));
}

/** A file's pointer: `snapshots/<commit>/<path>`. Throws PATH_UNSAFE if it would be outside. */
export function pointerPath(cacheDir: string, repository: string, commit: string, path: string): string {
  return join(snapshotPath(cacheDir, repository, commit), ...assertSafePath(path).split('/'));
}

/** The target of a pointer: the blob's path relative to the pointer's directory, with `/`. */
export function pointerTarget(path: string, blobId: string): string {
  const depth = assertSafePath(path).split('/').length;
  return `${'../'.repeat(depth + 1)}blobs/${assertBlobId(blobId)}`;
}

/** `refs/<revision>`; nested for `refs/pr/1`. Throws PATH_UNSAFE if it would be outside. */
export function refPath(cacheDir: string, repository: string, revision: string): string {
  return join(repoPath(cacheDir, repository), 'refs', ...assertSafePath(revision).split('/'));
}

/** `trees/<commit>.json`: the list of a commit's files. */
export function treePath(cacheDir: string, repository: string, commit: string): string {
  return join(repoPath(cacheDir, repository), 'trees', `${assertCommit(commit)}.json`);
}

/** `.locks/models--org--name/<hash>.lock`, which huggingface_hub locks with flock while it writes that blob. */
export function blobLockPath(cacheDir: string, repository: string, blobId: string): string {
  return join(cacheDir, '.locks', repoDirName(repository), `${assertBlobId(blobId)}.lock`);
}

/** What else lies in the cache's root; in any case, since some file systems know none. */
const OTHER_NAMES = /^(\.|(models|datasets|spaces)--|(models\.lock\.json|cachedir\.tag|blobs|whisper)$)/i;

/** A plain file in the cache's root. Throws PATH_UNSAFE for a name with a directory in it, or that the cache itself has. */
export function plainPath(cacheDir: string, name: string): string {
  if (assertSafePath(name).includes('/') || OTHER_NAMES.test(name)) {
    throw new CacheError(
      'PATH_UNSAFE',
      `Expected the name of a plain file in the cache's root that the cache has no other use for, got "${name}"`,
    );
  }
  return join(cacheDir, name);
}

/** Returns the hash in a blob's name: 64 digits are a sha256, 40 a git sha1; undefined otherwise. */
export function hashOfBlobId(blobId: string): ContentHash | undefined {
  if (/^[0-9a-f]{64}$/.test(blobId)) return { type: 'sha256', value: blobId };
  if (/^[0-9a-f]{40}$/.test(blobId)) return { type: 'git-sha1', value: blobId };
  return undefined;
}

/** Name and content of the file that makes backup programs skip the cache (bford.info/cachedir). */
export const CACHEDIR_TAG_NAME = 'CACHEDIR.TAG';
export const CACHEDIR_TAG_TEXT = [
  'Signature: 8a477f597d28d172789f06886806bc55',
  '# This file is a cache directory tag: its contents can be downloaded again.',
  '# For information about cache directory tags, see https://bford.info/cachedir/',
  '',
].join('\n');

function assertCommit(commit: string): string {
  if (!isCommit(commit)) throw new CacheError('PATH_UNSAFE', `Expected a commit of 40 digits, got "${commit}"`);
  return commit;
}

function assertBlobId(blobId: string): string {
  if (!/^[\w][\w.-]{0,127}$/.test(blobId)) {
    throw new CacheError('PATH_UNSAFE', `Expected a blob's name, got "${blobId}"`);
  }
  return blobId;
}
