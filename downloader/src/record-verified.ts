import { realpath, stat } from 'node:fs/promises';
import {
  type ContentHash,
  unlessGone,
  type Verification,
  type Verifications,
  verificationKey,
  writeVerifications,
} from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import type { CommandContext } from './commands/context.js';
import type { Plan, PlannedBlob } from './plan.js';

/**
 * Records size and modification time of blobs that have just been verified, so that `verify --quick` need not read them again.
 */
export async function recordVerified(
  context: CommandContext,
  blobs: readonly Pick<PlannedBlob, 'finalPath' | 'hash'>[],
): Promise<void> {
  const { cacheDir } = context.config.models;
  await writeRecords(context, async () => {
    const root = await realpath(cacheDir);
    const verifications = new Map<string, Verification>();
    for (const blob of blobs) {
      const path = await realpath(blob.finalPath);
      const { size, mtimeMs } = await stat(path);
      verifications.set(verificationKey(root, path), { sizeBytes: size, mtimeMs, hash: blob.hash });
    }
    return verifications;
  });
}

/** Writes records of verified files. They are optional, and the volume may be read-only: a failure is not an error. */
export async function writeRecords(
  { config, log }: CommandContext,
  read: () => Verifications | Promise<Verifications>,
): Promise<void> {
  try {
    const verifications = await read();
    if (verifications.size > 0) await writeVerifications(config.models.cacheDir, verifications);
  } catch (error) {
    log.debug({ event: 'verifications' }, `Verified files could not be recorded: ${messageOf(error)}`);
  }
}

/**
 * Returns the hashes of files that this run has read completely, by real path, after the plan has run. A checkpoint may be gone by
 * then: another process has compiled and removed it (KEEP_CHECKPOINTS=false).
 */
export async function verifiedHashes({ models }: Plan): Promise<ReadonlyMap<string, ContentHash>> {
  const files = models.flatMap((model) => model.files);
  const verified = files.filter(({ offered, blob }) => offered.isVerified === true || blob.action !== 'keep');
  const hashes = new Map<string, ContentHash>();
  for (const { blob } of verified) {
    const path = await unlessGone(realpath(blob.finalPath));
    if (path !== undefined) hashes.set(path, blob.hash);
  }
  return hashes;
}
