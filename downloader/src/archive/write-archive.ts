import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import {
  type CompiledManifest,
  formatCompiledManifest,
  formatLock,
  formatTree,
  type LockedModel,
  readTree,
} from '@heimdex/cache';
import { MIB } from '@heimdex/common';
import { type Pack, pack } from 'tar-stream';
import { asDiskError } from '../disk.js';
import { DownloaderError } from '../errors.js';
import { ARCHIVE_LOCK_NAME, type ArchivedBlob, blobsOf, pointersOf, refNameOf, treeNameOf } from './archive-layout.js';
import { compiledBlobs, compiledManifestName } from './compiled-entries.js';

/** Returns the path of an archived blob's bytes. */
export type BlobSource = (blob: ArchivedBlob) => string;

/** A model to export. */
export interface ExportedModel {
  /** Without its checkpoint: an archive contains only what is served. */
  readonly locked: LockedModel;
  /** Its compiled.json, if the model is compiled. */
  readonly compiled: CompiledManifest | undefined;
}

/** Fixed modification time: the same models always produce the same archive. */
const FIXED = { mtime: new Date(0), uid: 0, gid: 0 } as const;

/**
 * Writes an archive of models to a stream. Reads each file once and verifies it while writing.
 * Throws DownloaderError HASH_MISMATCH if a file does not match the lock file; errors of reading and writing.
 */
export async function writeArchive(
  cacheDir: string,
  models: readonly ExportedModel[],
  sourceOf: BlobSource,
  out: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  const archive = pack();
  const sent = sendOut(archive, out);
  try {
    await Promise.all([fill(archive, cacheDir, models, sourceOf, signal).then(() => archive.finalize()), sent]);
  } catch (error) {
    archive.destroy(null);
    await sent.catch(() => {});
    throw error;
  }
}

async function fill(
  archive: Pack,
  cacheDir: string,
  exported: readonly ExportedModel[],
  sourceOf: BlobSource,
  signal: AbortSignal,
): Promise<void> {
  const models = exported.map(({ locked }) => locked);
  addText(archive, ARCHIVE_LOCK_NAME, formatLock({ models }));
  for (const { compiled } of exported) {
    if (compiled !== undefined) addText(archive, compiledManifestName(compiled), formatCompiledManifest(compiled));
  }
  for (const blob of archivedBlobs(exported)) {
    signal.throwIfAborted();
    await addBlob(archive, blob, sourceOf(blob), signal);
  }
  // Models may share a snapshot; each name appears once in the archive.
  const pointers = new Map(models.flatMap(pointersOf).map(({ name, target }) => [name, target]));
  for (const [name, linkname] of pointers) archive.entry({ ...FIXED, name, type: 'symlink', linkname, mode: 0o777 });
  const trees = new Map(models.map((model) => [treeNameOf(model), model]));
  for (const [name, { repository, revision }] of trees) {
    const files = name === undefined ? undefined : await readTree(cacheDir, repository, revision);
    if (name !== undefined && files !== undefined) addText(archive, name, formatTree(files));
  }
  const refs = new Map(models.map((model) => [refNameOf(model), model.revision]));
  for (const [name, revision] of refs) if (name !== undefined) addText(archive, name, revision);
}

/** Returns all blobs of an archive, each once. */
export function archivedBlobs(exported: readonly ExportedModel[]): readonly ArchivedBlob[] {
  const compiledFiles = exported.flatMap(({ locked, compiled }) =>
    compiled === undefined ? [] : compiledBlobs(locked, compiled),
  );
  return [...blobsOf(exported.map(({ locked }) => locked)), ...compiledFiles];
}

function addText(archive: Pack, name: string, text: string): void {
  archive.entry({ ...FIXED, name, mode: 0o644 }, text);
}

async function addBlob(archive: Pack, blob: ArchivedBlob, path: string, signal: AbortSignal): Promise<void> {
  const entry = archive.entry({ ...FIXED, name: blob.name, size: blob.sizeBytes, mode: 0o644 });
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of bytesOf(path, signal)) {
    sizeBytes += bytes.length;
    if (sizeBytes > blob.sizeBytes) break;
    hash.update(bytes);
    if (!entry.write(bytes)) await once(entry, 'drain', { signal });
  }
  const actual = hash.digest('hex');
  if (sizeBytes !== blob.sizeBytes || actual !== blob.sha256) {
    throw new DownloaderError(
      'HASH_MISMATCH',
      `${path} does not match the lock file: expected ${blob.sizeBytes} bytes with sha256 ${blob.sha256}, got ${sizeBytes} with ${actual}. To repair it, run: heimdex-downloader download --check`,
    );
  }
  entry.end(null);
}

/** Reads a file of the volume. Its errors are not those of the archive. Throws DownloaderError DISK_FAILED. */
async function* bytesOf(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: MIB, signal });
  } catch (error) {
    throw asDiskError(error, path);
  }
}

/** Copies the archive to a stream that the caller closes. */
async function sendOut(archive: Pack, out: NodeJS.WritableStream): Promise<void> {
  const chunks = async function* () {
    yield* archive;
  };
  await pipeline(chunks, out, { end: false });
  // What the stream still holds is written before this.
  await new Promise<void>((resolve, reject) => {
    out.write('', (error?: Error | null) => (error ? reject(error) : resolve()));
  });
}
