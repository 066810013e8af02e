import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isUnverified } from '@heimdex/cache';
import { codeOf, formatBytes, formatCount, isAbandoned, sumSizes } from '@heimdex/common';
import type { ArchivedBlob } from '../archive/archive-layout.js';
import { withoutSources } from '../archive/compiled-entries.js';
import { archivedBlobs, type ExportedModel, writeArchive } from '../archive/write-archive.js';
import { type CacheState, isComplete, readCacheState } from '../cache-state.js';
import { asDiskError, makeDirOf, outputPath } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { lockFound } from '../lock-entries.js';
import type { RunFigures } from '../metrics.js';
import { assertReadable, missingLines } from '../plan-download.js';
import type { CommandContext } from './context.js';

/** Writes the configured models to one tar file. */
export async function exportModels(context: CommandContext): Promise<RunFigures> {
  const { config, args, signal, log } = context;
  const { cacheDir } = config.models;
  await assertFile(args.file, context.stdout);
  const cacheState = await readCacheState(config.models, { signal });
  assertComplete(cacheState);
  assertVerified(cacheState);
  const { models, paths } = await lockedModels(cacheState, signal);
  const sourceOf = (blob: ArchivedBlob) => paths.get(blob.sha256) ?? join(cacheDir, blob.name);
  const write = (out: NodeJS.WritableStream) => writeArchive(cacheDir, models, sourceOf, out, signal);
  if (args.file === '-') await toStdout(context, write);
  else await toFile(args.file, write);
  const blobs = archivedBlobs(models);
  const bytes = sumSizes(blobs);
  log.info(
    { event: 'exported', models: models.length, files: blobs.length, bytes },
    `Exported ${formatCount(models.length, 'model')}, ${formatCount(blobs.length, 'file')}, ${formatBytes(bytes)}. On the target machine, run: heimdex-downloader import ${args.file}`,
  );
  return { models: models.length };
}

/** An archive that cannot be written is reported before gigabytes are read. */
async function assertFile(path: string, stdout: CommandContext['stdout']): Promise<void> {
  if (path === '-' && 'isTTY' in stdout && stdout.isTTY === true) {
    throw new DownloaderError(
      'USAGE',
      'export - writes a tar file to stdout, which is a terminal. Redirect it: heimdex-downloader export - > models.tar',
    );
  }
  if (path === '-' || (await outputPath(path)) !== undefined) return;
  const isDir = (await stat(path)).isDirectory();
  throw new DownloaderError(
    'USAGE',
    isDir
      ? `${path} is a directory. Name a file in it, such as ${join(path, 'models.tar')}: heimdex-downloader export FILE`
      : `${path} is not a regular file. Name another one, or write to stdout: heimdex-downloader export - > ${path}`,
  );
}

function assertComplete(cacheState: CacheState): void {
  const lacking = cacheState.models.filter((model) => !isComplete(model));
  if (lacking.length === 0) return;
  assertReadable(lacking);
  const lines = lacking.flatMap((model) => missingLines(model).map((line) => `  ${line}`));
  throw new DownloaderError(
    'MODEL_INCOMPLETE',
    [
      'Only complete models can be exported, and these files are missing:',
      ...lines,
      'First run: heimdex-downloader download',
    ].join('\n'),
  );
}

/** On the importing machine the lock file of the archive would declare whatever is in these files correct. */
function assertVerified(cacheState: CacheState): void {
  const unlocked = cacheState.models.filter(({ locked }) => locked === undefined);
  const lines = unlocked.flatMap(({ configured: { role, id }, inspection: { found } }) =>
    (found?.files ?? []).filter(isUnverified).map(({ path }) => `  ${role} ${id}: ${path}`),
  );
  if (lines.length === 0) return;
  throw new DownloaderError(
    'NOT_VERIFIED',
    [
      'Only verified models can be exported, and no hash is known for:',
      ...lines,
      'To get it from the hub and lock the model, with a network, run: heimdex-downloader download',
    ].join('\n'),
  );
}

/** Returns the models, and by sha256 the paths of their bytes, which need not be in blobs/. */
async function lockedModels(
  cacheState: CacheState,
  signal: AbortSignal,
): Promise<{ readonly models: readonly ExportedModel[]; readonly paths: ReadonlyMap<string, string> }> {
  const models: ExportedModel[] = [];
  const paths = new Map<string, string>();
  for (const state of cacheState.models) {
    const { found } = state.inspection;
    const locked = state.locked ?? (await lockFound(state, signal));
    if (locked === undefined || found === undefined) continue;
    // On the importing machine it counts as downloaded by this program.
    const { compiled } = found;
    models.push({ locked: { ...withoutSources(locked, compiled), found: undefined }, compiled });
    const there = new Map(found.files.map(({ path, blobPath }) => [path, blobPath]));
    for (const { path, sha256 } of locked.files) {
      const blobPath = there.get(path);
      if (blobPath !== undefined) paths.set(sha256, blobPath);
    }
  }
  return { models, paths };
}

/** A reader that is gone has no whole archive. */
async function toStdout(
  { stdout }: CommandContext,
  write: (out: NodeJS.WritableStream) => Promise<void>,
): Promise<void> {
  try {
    await write(stdout);
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_PREMATURE_CLOSE') throw cause;
    throw new DownloaderError(
      'DISK_FAILED',
      `The archive could not be written to stdout: its reader ended before it was complete (${code}). See what it said, then run: heimdex-downloader export -`,
      { cause },
    );
  }
}

/** Those of another user stay where the directory has the sticky bit, as /tmp has it. */
async function removeLeftovers(path: string): Promise<void> {
  const dir = dirname(path);
  const names = (await readdir(dir)).filter((name) => name.startsWith(basename(path)));
  for (const name of names.filter((name) => /^\.[0-9a-f]{8}\.tmp$/.test(name.slice(basename(path).length)))) {
    const info = await lstat(join(dir, name)).catch(() => undefined);
    if (info?.isFile() && isAbandoned(info.mtimeMs)) await rm(join(dir, name), { force: true }).catch(() => {});
  }
}

/** Creates a file that appears only once it is complete. */
async function toFile(given: string, write: (out: NodeJS.WritableStream) => Promise<void>): Promise<void> {
  const path = (await outputPath(given)) ?? given;
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await makeDirOf(path);
    await removeLeftovers(path);
    const out = createWriteStream(temporary, { flags: 'wx', mode: 0o644, flush: true });
    try {
      const failed = new Promise<never>((_, reject) => void out.once('error', reject));
      await Promise.race([write(out), failed]);
      out.end();
      await Promise.race([once(out, 'close'), failed]);
    } finally {
      out.destroy();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, path, 'The unfinished file was removed');
  }
}
