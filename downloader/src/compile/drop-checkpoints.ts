import { lstat, readlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type FoundFile, repoPath, scanCache, treePath, verifyModel } from '@heimdex/cache';
import { formatBytes } from '@heimdex/common';
import type { ModelState } from '../cache-state.js';
import type { CommandContext } from '../commands/context.js';
import { removeFile } from '../disk.js';

/**
 * Removes the checkpoint that a model was compiled from, once every byte of the compiled model is verified: its pointers in the
 * snapshot, and their blobs if nothing else points at them. A file outside of the repository (`whisper/medium.pt`) is removed
 * only if this run fetched it. The lock file keeps the hashes.
 * Throws DownloaderError DISK_FAILED; the first problem of a damaged compiled model.
 *
 * @param fetched - Absolute paths of files fetched by this run.
 */
export async function dropCheckpoint(
  context: CommandContext,
  state: ModelState,
  fetched: ReadonlySet<string>,
): Promise<void> {
  const { config, log, signal } = context;
  const { inspection, configured } = state;
  const { found, checkpoint, repository, revision } = inspection;
  if (found?.compiled === undefined || checkpoint === undefined || revision === undefined) return;
  const repo = repoPath(config.models.cacheDir, repository);
  const files = checkpoint.files.filter(
    ({ absolutePath }) => absolutePath.startsWith(repo) || fetched.has(absolutePath),
  );
  if (files.length === 0) return;
  const { problems } = await verifyModel(found, { level: 'full', signal });
  const [problem] = problems;
  if (problem !== undefined) throw problem;
  const freedBytes = await removeFiles(context, files);
  // With a tree list of more files than present, huggingface_hub calls the snapshot incomplete.
  await removeFile(treePath(config.models.cacheDir, repository, revision));
  log.info(
    { event: 'checkpoint-dropped', model: configured.id, bytes: freedBytes },
    `Removed the checkpoint of ${configured.id} after compiling: ${formatBytes(freedBytes)} freed (KEEP_CHECKPOINTS=false)`,
  );
}

async function removeFiles({ config }: CommandContext, files: readonly FoundFile[]): Promise<number> {
  const blobs = new Map<string, number>();
  for (const { absolutePath, sizeBytes } of files) {
    blobs.set(await targetOf(absolutePath), sizeBytes);
    await removeFile(absolutePath);
  }
  let freedBytes = 0;
  const { repositories } = await scanCache(config.models.cacheDir);
  const used = new Set(
    repositories.flatMap(({ snapshots }) => snapshots.flatMap(({ files }) => files.map(({ blobPath }) => blobPath))),
  );
  // A blob that is itself a link points into a store shared with other programs: remove the link, keep the bytes.
  for (const [path, sizeBytes] of blobs) {
    if (used.has(path)) continue;
    const info = await lstat(path).catch(() => undefined);
    if (info === undefined || (info.isFile() && info.nlink === 1)) freedBytes += sizeBytes;
    await removeFile(path);
  }
  return freedBytes;
}

/** Returns the target of a pointer; the path itself if it is not a link. */
async function targetOf(path: string): Promise<string> {
  return (await lstat(path)).isSymbolicLink() ? resolve(dirname(path), await readlink(path)) : path;
}
