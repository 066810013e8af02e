import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type LockedModel, type ModelEnvironment, namesIn, readLock, repoPath, whyUnusable } from '@heimdex/cache';
import { formatBytes, formatCount, formatDuration, MIB, messageOf, sumSizes } from '@heimdex/common';
import { openPipe } from '@heimdex/common/pipe';
import { type ArchivedBlob, blobIdOf, filesOf } from '../archive/archive-layout.js';
import { withSources } from '../archive/compiled-entries.js';
import { type ReadArchive, readArchive } from '../archive/read-archive.js';
import { assertFits, makeDir } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { updateLock } from '../lock-entries.js';
import { lockEvents } from '../lock-events.js';
import type { RunFigures } from '../metrics.js';
import { assertLinks, publishCacheTag, publishCompiled, publishSnapshot } from '../publish.js';
import { recordVerified } from '../record-verified.js';
import { whileNonePrunes } from '../volume-lock.js';
import type { CommandContext } from './context.js';

/** Reads an archive of models into the cache. Models become visible only after every byte of the archive is verified. */
export async function importModels(context: CommandContext): Promise<RunFigures> {
  const { config, args } = context;
  const { cacheDir, lockPath } = config.models;
  // An invalid lock file is an error before anything is imported.
  await readLock(lockPath);
  await makeDir(cacheDir);
  const input = args.file === '-' ? context.stdin : await openFile(args.file);
  try {
    return await whileNonePrunes(context, () => importFrom(context, input));
  } finally {
    input.destroy();
  }
}

async function importFrom(context: CommandContext, input: Readable): Promise<RunFigures> {
  const { config, signal, log } = context;
  const { cacheDir, lockPath } = config.models;
  const startedMs = performance.now();
  const onMissing = async (missing: readonly ArchivedBlob[]) => {
    // A plain file of the cache's root needs none.
    if (missing.some(({ name }) => name.includes('/'))) await assertLinks(cacheDir);
    await assertFits(cacheDir, sumSizes(missing), 'imported');
  };
  const locks = lockEvents(log, 'Another process is writing this file; waiting for it');
  const archive = await readArchive(input, { cacheDir, locks, onMissing }, signal);
  const found = await foundModels(archive, config.models);
  await publishCacheTag(cacheDir);
  for (const model of archive.lock.models) {
    if (model.layout === 'plain') continue;
    const { repository, revision, requestedRevision } = model;
    const files = filesOf(model).map((file) => ({ path: file.path, blobId: blobIdOf(file) }));
    const tree = archive.trees.get(`${repository}@${revision}`);
    await publishSnapshot(cacheDir, { repository, commit: revision, requestedRevision, tree, files });
  }
  for (const manifest of archive.compiled.values()) {
    await publishCompiled(cacheDir, manifest);
    const why = whyUnusable(manifest);
    if (why === undefined) continue;
    log.warn(
      { event: 'unusable', model: manifest.repository },
      `The compiled model ${manifest.repository} cannot be used here: ${why}. Import an archive from a machine with a CPU and a version like these, or, with a network, run: heimdex-downloader download`,
    );
  }
  const locked = archive.lock.models.map((model) => {
    const manifest = archive.compiled.get(model);
    const record = manifest === undefined ? model : withSources(model, manifest);
    return found.has(model) ? { ...record, found: true } : record;
  });
  const failure = await updateLock(lockPath, locked, locks, signal);
  if (failure !== undefined) throw failure;
  await recordVerified(context, archive.verified);
  const { receivedFiles, receivedBytes } = archive;
  const presentFiles = archive.present.length;
  const models = archive.lock.models.length;
  log.info(
    { event: 'imported', models, files: receivedFiles, bytes: receivedBytes, presentFiles },
    `Imported ${formatCount(models, 'model')}: ${formatCount(receivedFiles, 'file')}, ${formatBytes(receivedBytes)} in ${formatDuration(performance.now() - startedMs)}; ${formatCount(presentFiles, 'file')} already present`,
  );
  return { models };
}

/** Returns the models of an archive that another program had put on the volume before: `prune` keeps them. Call it before they are published. */
async function foundModels(
  { lock, present }: ReadArchive,
  { cacheDir, lockPath }: Pick<ModelEnvironment, 'cacheDir' | 'lockPath'>,
): Promise<ReadonlySet<LockedModel>> {
  const records = (await readLock(lockPath))?.models ?? [];
  const found = new Set<LockedModel>();
  for (const model of lock.models) {
    const before = records.filter(({ repository }) => repository === model.repository);
    const wasThere =
      model.layout === 'plain'
        ? present.some(({ repository }) => repository === model.repository)
        : (await namesIn(join(repoPath(cacheDir, model.repository), 'snapshots'))).length > 0;
    if (before.length > 0 ? before.every((record) => record.found === true) : wasThere) found.add(model);
  }
  return found;
}

async function openFile(path: string): Promise<Readable> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) {
    const what = `The archive ${path} is a directory. Name the file that export wrote, then run: heimdex-downloader import FILE`;
    throw new DownloaderError('ARCHIVE_MISSING', what);
  }
  try {
    if (info?.isFIFO() === true) return openPipe(path);
    const stream = createReadStream(path, { highWaterMark: MIB });
    await once(stream, 'open');
    return stream;
  } catch (cause) {
    const what = `The archive ${path} cannot be read: ${messageOf(cause)}. Check the path, then run: heimdex-downloader import FILE`;
    throw new DownloaderError('ARCHIVE_MISSING', what, { cause });
  }
}
