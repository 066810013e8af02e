import { createHash } from 'node:crypto';
import type { ContentHash, ModelFile, NpmSource, PinnedFile, Source, UrlSource } from '@heimdex/cache';
import { withStandIns } from '@heimdex/cache';
import { assertPinned } from './assert-pinned.js';
import type { ModelState } from './cache-state.js';
import { DownloaderError } from './errors.js';
import type { Remote } from './remote.js';
import type { RemoteFile, RemoteFiles } from './remote-files.js';
import type { ByteSource } from './transfer/source.js';

/** Returns the files whose hashes the manifest pins, of an address or an npm package. Throws DownloaderError if it lacks a required one. */
export function askPinned(state: ModelState, source: UrlSource | NpmSource, remote: Remote): RemoteFiles {
  const { configured } = state;
  const files: RemoteFile[] = [];
  const pins = (path: string) => source.files.some((one) => one.path === path);
  for (const file of withStandIns(configured.files, pins)) {
    const pinned = source.files.find((candidate) => candidate.path === file.path);
    if (pinned === undefined) {
      if (!file.required) continue;
      throw new DownloaderError(
        'NOT_FOUND',
        `The ${source.type} source of ${configured.id} in the manifest does not list ${file.path}. Add it there, then run: heimdex-downloader plan`,
      );
    }
    const hash: ContentHash = { type: 'sha256', value: pinned.sha256 };
    assertPinned(state, file, hash, pinned.sizeBytes, `the ${source.type} source`);
    const sources = [source, ...configured.sources.filter((other) => other !== source)];
    const sizeBytes = pinned.sizeBytes ?? file.sizeBytes;
    files.push({ file, sizeBytes, hash, sources: byteSources(sources, file, hash, remote) });
  }
  return {
    state,
    source: source.type,
    repository: configured.id,
    requestedRevision: 'main',
    commit: configured.layout === 'plain' ? undefined : madeUpCommit(files),
    tree: undefined,
    files,
  };
}

/** Returns where a file's bytes are at those sources that can provide the same ones: a hub, whose bytes the hash will verify, or a pin of the hash. */
export function byteSources(
  sources: readonly Source[],
  { path }: ModelFile,
  { value }: ContentHash,
  remote: Remote,
): ByteSource[] {
  const isSame = (pinned: PinnedFile) => pinned.path === path && pinned.sha256 === value;
  return sources.flatMap((source) => {
    if (source.type === 'hf') return remote.hubFile({ repository: source.repository, commit: source.revision, path });
    if (source.type === 'url') {
      const pinned = source.files.find(isSame);
      return pinned === undefined ? [] : remote.urlFile(new URL(pinned.url));
    }
    const pinned = source.files.find(isSame);
    return pinned === undefined ? [] : remote.npmFile(source.package, source.version, pinned.file);
  });
}

/** Derives a 40-digit name for a set of files without a commit: the same files always have the same name. */
function madeUpCommit(files: readonly RemoteFile[]): string {
  const lines = files.map(({ file, hash }) => `${file.path}\0${hash.value}\n`).sort();
  return createHash('sha1').update(lines.join('')).digest('hex');
}
