import {
  type CompileRequest,
  type ConfiguredModel,
  type ContentHash,
  chooseCheckpoint,
  type Tree,
  type UrlSourceFile,
} from '@heimdex/cache';
import type { Remote } from './remote.js';
import type { HubFileAddress } from './transfer/hub-source.js';
import type { ByteSource } from './transfer/source.js';

/** One file of a checkpoint, where it is to be had. */
export interface OfferedCheckpointFile {
  readonly path: string;
  readonly sizeBytes: number | undefined;
  readonly hash: ContentHash;
  readonly sources: readonly ByteSource[];
  /** Where it goes below the cache's root, where it is of no repository. */
  readonly volumePath?: string;
}

/** What a name means in a repository of these files: of an export and a checkpoint, the one that it has. */
export function layoutOf(configured: ConfiguredModel, tree: Tree): ConfiguredModel {
  const { otherwise } = configured;
  return otherwise === undefined || hasAll(configured, tree) || !hasAll(otherwise, tree) ? configured : otherwise;
}

function hasAll({ files, compile, folder }: ConfiguredModel, tree: Tree): boolean {
  const listed = files.every(({ path, required }) => !required || tree.has(path));
  return listed && (compile === undefined || chooseCheckpoint([...tree.keys()], folder) !== undefined);
}

/**
 * The smallest checkpoint of the weights whose hash is known before the first byte: the repository's own, or one at an address
 * of its own (OpenAI's .pt files have half its size). Undefined where there is none.
 */
export async function smallestCheckpoint(
  configured: ConfiguredModel,
  request: CompileRequest,
  repository: Pick<HubFileAddress, 'repository' | 'commit'>,
  tree: Tree,
  remote: Remote,
  signal: AbortSignal,
): Promise<readonly OfferedCheckpointFile[] | undefined> {
  const own = ofRepository(configured, repository, tree, remote);
  const others = remote.isPublicHub
    ? await Promise.all(request.checkpoints.map((file) => ofAddress(file, remote, signal)))
    : [];
  const [smallest] = [own, ...others]
    .flatMap((files) => (files === undefined ? [] : [files]))
    .sort((a, b) => bytesOf(a) - bytesOf(b));
  return smallest;
}

function ofRepository(
  { folder }: ConfiguredModel,
  repository: Pick<HubFileAddress, 'repository' | 'commit'>,
  tree: Tree,
  remote: Remote,
): readonly OfferedCheckpointFile[] | undefined {
  const chosen = chooseCheckpoint([...tree.keys()], folder);
  return chosen?.paths.flatMap((path) => {
    const entry = tree.get(path);
    if (entry === undefined) return [];
    const hash: ContentHash =
      entry.lfsSha256 === undefined
        ? { type: 'git-sha1', value: entry.blobId }
        : { type: 'sha256', value: entry.lfsSha256 };
    const sources = [remote.hubFile({ ...repository, path })];
    return [{ path, sizeBytes: entry.lfsSizeBytes ?? entry.sizeBytes, hash, sources }];
  });
}

/** A file at an address that does not answer is no choice; the repository's own is then. */
async function ofAddress(
  { path, url, sha256, sizeBytes }: UrlSourceFile,
  remote: Remote,
  signal: AbortSignal,
): Promise<readonly OfferedCheckpointFile[] | undefined> {
  const source = remote.urlFile(new URL(url));
  const hash = { type: 'sha256', value: sha256 } as const;
  try {
    const size = sizeBytes ?? (await sizeAt(source, signal));
    return size === undefined ? undefined : [{ path, sizeBytes: size, hash, sources: [source], volumePath: path }];
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function sizeAt(source: ByteSource, signal: AbortSignal): Promise<number | undefined> {
  const opened = await source.open(undefined, signal);
  opened.close();
  return opened.totalBytes;
}

function bytesOf(files: readonly OfferedCheckpointFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
}
