import { basename, join } from 'node:path';
import { blobLockPath, blobPath, type ContentHash, type FoundFile, plainPath } from '@heimdex/cache';
import type { ModelState } from './cache-state.js';
import type { RemoteFile, RemoteFiles } from './remote-files.js';
import type { ByteSource } from './transfer/source.js';

/** What has to be done to make the volume hold what is wanted. Plain data, made without input or output. */
export interface Plan {
  /** Models that need nothing. */
  readonly complete: readonly ModelState[];
  /** Models whose checkpoint is on the volume and has only to be compiled. */
  readonly compile: readonly ModelState[];
  readonly models: readonly PlannedModel[];
  /** Each once, though several models may share it. */
  readonly blobs: readonly PlannedBlob[];
}

/** A model that lacks something. */
export interface PlannedModel {
  readonly remoteFiles: RemoteFiles;
  readonly files: readonly PlannedFile[];
}

/** One file of a model and the blob behind it. */
export interface PlannedFile {
  readonly offered: RemoteFile;
  readonly blob: PlannedBlob;
}

/** One file to be on disk under its final name. */
export interface PlannedBlob {
  /** For messages: repository and path. */
  readonly label: string;
  /** Path in the repository. */
  readonly path: string;
  readonly finalPath: string;
  readonly lockPath: string;
  /** Undefined when nobody says it before the first byte. */
  readonly sizeBytes: number | undefined;
  readonly hash: ContentHash;
  readonly sources: readonly ByteSource[];
  /**
   * `keep`: it is there and was looked at. `prove`: it is there, but nothing we did put it there for this model: its
   * bytes are read once. `fetch`: it is missing or wrong.
   */
  readonly action: 'keep' | 'prove' | 'fetch';
  /** Bytes of an earlier run to go on with. */
  readonly resumableBytes: number;
}

/** What lies at a blob's final path. */
export interface BlobOnDisk {
  /** Undefined: nothing. */
  readonly sizeBytes: number | undefined;
  /** Bytes of an earlier run beside it. */
  readonly resumableBytes: number;
}

/** A catalogue's blob paths, so that the disk can be looked at before the plan is made. */
export function blobPathOf(cacheDir: string, remoteFiles: RemoteFiles, offered: RemoteFile): string {
  if (offered.volumePath !== undefined) return join(cacheDir, ...offered.volumePath.split('/'));
  return remoteFiles.commit === undefined
    ? plainPath(cacheDir, basename(offered.file.path))
    : blobPath(cacheDir, remoteFiles.repository, offered.hash.value);
}

/**
 * Puts together what is wanted, what is offered and what is there.
 *
 * @param onDisk - What lies at a final path.
 */
export function makePlan(
  cacheDir: string,
  { complete, compile }: Pick<Plan, 'complete' | 'compile'>,
  allRemoteFiles: readonly RemoteFiles[],
  onDisk: (finalPath: string) => BlobOnDisk,
): Plan {
  const blobs = new Map<string, PlannedBlob>();
  const models = allRemoteFiles.map((remoteFiles) => ({
    remoteFiles,
    files: remoteFiles.files.map((offered): PlannedFile => {
      const finalPath = blobPathOf(cacheDir, remoteFiles, offered);
      const known = blobs.get(finalPath);
      if (known !== undefined) return { offered, blob: known };
      const blob = planBlob(cacheDir, remoteFiles, offered, finalPath, onDisk(finalPath));
      blobs.set(finalPath, blob);
      return { offered, blob };
    }),
  }));
  return { complete, compile, models, blobs: [...blobs.values()] };
}

function planBlob(
  cacheDir: string,
  remoteFiles: RemoteFiles,
  offered: RemoteFile,
  finalPath: string,
  there: BlobOnDisk,
): PlannedBlob {
  const { state, repository } = remoteFiles;
  const { file, hash, sources } = offered;
  const sizeBytes = offered.sizeBytes;
  const inspected = state.inspection.files.find((candidate) => candidate.file.path === file.path);
  const damaged = state.damaged.has(file.path);
  const looked =
    offered.isVerified === true ||
    (inspected?.found !== undefined && sameBlob(inspected.found, remoteFiles, hash) && !damaged);
  const sized = there.sizeBytes !== undefined && (sizeBytes === undefined || sizeBytes === there.sizeBytes);
  const action = damaged || !sized ? 'fetch' : looked ? 'keep' : 'prove';
  return {
    label: `${repository} ${file.path}`,
    path: file.path,
    finalPath,
    lockPath: blobLockPath(cacheDir, repository, hash.value),
    sizeBytes,
    hash,
    sources,
    action,
    resumableBytes: action === 'fetch' ? there.resumableBytes : 0,
  };
}

/** Whether the file that was found is known to be the one that is wanted, without reading it. */
function sameBlob(found: FoundFile, remoteFiles: RemoteFiles, hash: ContentHash): boolean {
  // A plain file has no blob's name to compare.
  if (remoteFiles.commit === undefined) return found.hash?.type === hash.type && found.hash.value === hash.value;
  // The lock file is to name a sha256, which is that of whatever lies there: it is read before it is believed.
  const nameIsEnough = hash.type === 'sha256' || remoteFiles.state.locked !== undefined;
  return nameIsEnough && found.blobId === hash.value;
}

/** What a plan costs. */
export interface PlanTotals {
  readonly fetchFiles: number;
  /** Bytes to come over the network. Files of unknown size count as 0. */
  readonly fetchBytes: number;
  /** Bytes of earlier runs that are gone on with. */
  readonly resumedBytes: number;
  readonly presentFiles: number;
  readonly presentBytes: number;
}

/** Adds a plan up. */
export function totalsOf(plan: Plan): PlanTotals {
  let fetchFiles = 0;
  let fetchBytes = 0;
  let resumedBytes = 0;
  let presentFiles = 0;
  let presentBytes = 0;
  for (const blob of plan.blobs) {
    const sizeBytes = blob.sizeBytes ?? 0;
    if (blob.action === 'fetch') {
      fetchFiles += 1;
      fetchBytes += Math.max(0, sizeBytes - blob.resumableBytes);
      resumedBytes += blob.resumableBytes;
    } else {
      presentFiles += 1;
      presentBytes += sizeBytes;
    }
  }
  for (const { inspection } of [...plan.complete, ...plan.compile]) {
    const { found, files, checkpoint } = inspection;
    const there = found?.files ?? files.flatMap((file) => file.found ?? []);
    for (const file of [...there, ...(checkpoint?.files ?? [])]) {
      presentFiles += 1;
      presentBytes += file.sizeBytes;
    }
  }
  return { fetchFiles, fetchBytes, resumedBytes, presentFiles, presentBytes };
}
