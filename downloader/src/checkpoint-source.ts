import { join } from 'node:path';
import {
  blobPath,
  type CompileRequest,
  type ConfiguredModel,
  chooseCheckpoint,
  hashFile,
  hashOfEntry,
  sizeOfEntry,
  type Tree,
  type UrlSourceFile,
  withStandIns,
} from '@heimdex/cache';
import { sumSizes } from '@heimdex/common';
import { fileSize } from './disk.js';
import { DownloaderError } from './errors.js';
import type { Remote } from './remote.js';
import type { CheckpointReason, RemoteFile } from './remote-files.js';
import { askSize } from './transfer/ask-size.js';
import type { HubFileAddress } from './transfer/hub-source.js';

/** One file of a checkpoint and its sources. */
interface OfferedCheckpointFile extends Omit<RemoteFile, 'file' | 'isVerified'> {
  readonly path: string;
  /** Whether the file is on the volume. Outside of a repository its bytes have been verified too. */
  readonly isThere: boolean;
}

/** Resolves a name against a repository's files: of an export and a checkpoint, the one that exists. */
export function layoutOf({ otherwise, ...configured }: ConfiguredModel, tree: Tree): ConfiguredModel {
  if (otherwise === undefined || hasAll(configured, tree)) return configured;
  // With weights of only one layout, report what is missing of that layout.
  const isOther = hasWeights(otherwise, tree) && !hasWeights(configured, tree);
  return hasAll(otherwise, tree) || isOther ? alone(otherwise) : configured;
}

function alone({ otherwise: _, ...configured }: ConfiguredModel): ConfiguredModel {
  return configured;
}

/** Whether a repository has weights of a layout: an export's graphs, or a whole checkpoint. */
export function hasWeights({ files, compile, dir }: ConfiguredModel, tree: Tree): boolean {
  if (compile !== undefined) return chooseCheckpoint([...tree.keys()], dir) !== undefined;
  return files.some(({ path, weights }) => weights !== undefined && tree.has(path));
}

function hasAll({ files, compile, dir }: ConfiguredModel, tree: Tree): boolean {
  const has = (path: string) => tree.has(path);
  const listed = withStandIns(files, has).every(({ path, required }) => !required || has(path));
  return listed && (compile === undefined || chooseCheckpoint([...tree.keys()], dir) !== undefined);
}

/** A chosen checkpoint. */
export interface ChosenCheckpoint {
  readonly files: readonly OfferedCheckpointFile[];
  readonly why: CheckpointReason;
}

/** Where to look for checkpoints. */
export interface CheckpointSearch {
  readonly repository: Pick<HubFileAddress, 'repository' | 'commit'>;
  readonly tree: Tree;
  readonly cacheDir: string;
  readonly remote: Remote;
}

/**
 * Chooses among the checkpoints of the same weights whose hashes are known in advance the one with the fewest bytes to fetch:
 * one on the volume, else the smallest. Candidates are the repository's own and single files outside of it (OpenAI's .pt files
 * are half the size). Returns undefined if there is none.
 */
export async function chooseSource(
  configured: ConfiguredModel,
  request: CompileRequest,
  search: CheckpointSearch,
  signal: AbortSignal,
): Promise<ChosenCheckpoint | undefined> {
  const own = await ofRepository(configured, search);
  const others: OfferedCheckpointFile[][] = [];
  for (const file of request.checkpoints) {
    const there = await onVolume(configured, file, search, signal);
    if (there === 'another file') continue;
    if (there !== undefined) others.push([there]);
    else if (search.remote.isPublicHub) others.push(...(await ofAddress(configured, file, search.remote, signal)));
  }
  const candidates = [...(own === undefined ? [] : [own]), ...others];
  const [best] = candidates.sort((a, b) => lacking(a) - lacking(b) || sumSizes(a) - sumSizes(b));
  if (best === undefined) return undefined;
  const why = lacking(best) === 0 ? 'on the volume' : candidates.length > 1 ? 'the smallest' : 'the only one';
  return { files: best, why };
}

async function ofRepository(
  { dir }: ConfiguredModel,
  { repository, tree, cacheDir, remote }: CheckpointSearch,
): Promise<readonly OfferedCheckpointFile[] | undefined> {
  const chosen = chooseCheckpoint([...tree.keys()], dir);
  if (chosen === undefined) return undefined;
  const files: OfferedCheckpointFile[] = [];
  for (const path of chosen.paths) {
    const entry = tree.get(path);
    if (entry === undefined) continue;
    const hash = hashOfEntry(entry);
    const sizeBytes = sizeOfEntry(entry);
    const isThere = (await fileSize(blobPath(cacheDir, repository.repository, hash.value))) === sizeBytes;
    files.push({ path, sizeBytes, hash, sources: [remote.hubFile({ ...repository, path })], isThere });
  }
  return files;
}

/** Returns a file outside of any repository if it is on the volume with the right bytes. A file with other bytes belongs to the user. */
async function onVolume(
  { id }: ConfiguredModel,
  { path, url, sha256 }: UrlSourceFile,
  { cacheDir, remote }: CheckpointSearch,
  signal: AbortSignal,
): Promise<OfferedCheckpointFile | 'another file' | undefined> {
  const absolutePath = join(cacheDir, ...path.split('/'));
  const sizeBytes = await fileSize(absolutePath);
  if (sizeBytes === undefined) return undefined;
  const found = await hashFile('sha256', absolutePath, signal);
  if (found === sha256) {
    const sources = remote.isPublicHub ? [remote.urlFile(new URL(url))] : [];
    return { path, sizeBytes, hash: { type: 'sha256', value: sha256 }, sources, volumePath: path, isThere: true };
  }
  const message = `${absolutePath} is not the file in the manifest: expected sha256 ${sha256}, got ${found}. It is left unchanged.`;
  remote.onSourceFailed(id, 'volume', new DownloaderError('HASH_MISMATCH', message));
  return 'another file';
}

/** Few, because there is the repository's own checkpoint: a firewall that passes only the hub should not cost minutes. */
const ADDRESS_ATTEMPTS = 3;

/** An address that does not answer is reported and not a candidate; the repository's own checkpoint is used then. */
async function ofAddress(
  { id }: ConfiguredModel,
  { path, url, sha256, sizeBytes }: UrlSourceFile,
  remote: Remote,
  signal: AbortSignal,
): Promise<OfferedCheckpointFile[][]> {
  const source = remote.urlFile(new URL(url));
  const hash = { type: 'sha256', value: sha256 } as const;
  const retry = { ...remote.retry, maxAttempts: Math.min(ADDRESS_ATTEMPTS, remote.retry.maxAttempts) };
  try {
    const size = sizeBytes ?? (await askSize(source, retry, signal, (notice) => remote.onRetry(notice)));
    return [[{ path, sizeBytes: size, hash, sources: [source], volumePath: path, isThere: false }]];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DownloaderError)) throw error;
    remote.onSourceFailed(id, 'url', error);
    return [];
  }
}

/** Returns the bytes still to fetch. */
function lacking(files: readonly OfferedCheckpointFile[]): number {
  return sumSizes(files.filter(({ isThere }) => !isThere));
}
