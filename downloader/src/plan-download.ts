import { basename, join } from 'node:path';
import {
  assertInsideCache,
  blobLockPath,
  blobPath,
  type ContentHash,
  type FoundFile,
  plainPath,
  withStandIns,
} from '@heimdex/cache';
import { type CacheState, isComplete, type ModelState, needsFetching, needsOnlyCompiling } from './cache-state.js';
import { readObject } from './compile/small-files.js';
import { smallFilesOnVolume } from './compile/small-files-on-volume.js';
import { fileSize } from './disk.js';
import { DownloaderError, joinFailures } from './errors.js';
import { listRemoteFiles } from './list-remote-files.js';
import { isOffline, offlineReason, onlineCommand } from './offline.js';
import type { CheckpointState, Plan, PlannedBlob, PlannedFile, PlannedModel } from './plan.js';
import type { Remote } from './remote.js';
import type { RemoteFile, RemoteFiles } from './remote-files.js';
import { resumableBytes } from './transfer/leftovers.js';

/**
 * Plans the download. Complete models cost no request.
 * Throws CacheError PATH_UNSAFE for a link out of the cache; if requests are forbidden, DownloaderError OFFLINE with all missing files, or
 * CacheError CACHE_UNREADABLE; errors of the sources otherwise.
 */
export async function planDownload(cacheState: CacheState, remote: Remote, signal: AbortSignal): Promise<Plan> {
  const complete = cacheState.models.filter(isComplete);
  const compile = await Promise.all(cacheState.models.filter(needsOnlyCompiling).map(withConfig));
  const lacking = cacheState.models.filter(needsFetching);
  if (lacking.length > 0 && isOffline(cacheState.environment)) {
    assertReadable(lacking);
    throw offlineError(lacking, cacheState.environment);
  }
  const { plan, failures } = await planFor(cacheState, { complete, compile }, lacking, remote, signal);
  if (failures.size > 0) throw notUsable(failures);
  return plan;
}

/** Plans every configured model, complete or not, against the current files of its sources. */
export function planAll(cacheState: CacheState, remote: Remote, signal: AbortSignal): Promise<PlanOfSome> {
  return planFor(cacheState, { complete: [], compile: [] }, cacheState.models, remote, signal);
}

/** A plan for the models whose sources have them, and what is wrong with the others. */
interface PlanOfSome {
  readonly plan: Plan;
  readonly failures: ReadonlyMap<ModelState, DownloaderError>;
}

/** Returns one error for all models that cannot be used. */
export function notUsable(failures: PlanOfSome['failures']): DownloaderError {
  return joinFailures(`${failures.size} models cannot be used`, [...failures.values()]);
}

/** What is wrong with a config.json is an error of the compile. */
async function withConfig(state: ModelState): Promise<CheckpointState> {
  const config = await readObject(smallFilesOnVolume(state), 'config.json').catch(() => undefined);
  return { ...state, config };
}

async function planFor(
  cacheState: CacheState,
  settled: Pick<Plan, 'complete' | 'compile'>,
  models: readonly ModelState[],
  remote: Remote,
  signal: AbortSignal,
): Promise<PlanOfSome> {
  const { cacheDir } = cacheState.environment;
  const listed: RemoteFiles[] = [];
  const failures = new Map<ModelState, DownloaderError>();
  for (const model of models) {
    try {
      listed.push(await listRemoteFiles(model, cacheDir, remote, signal));
    } catch (error) {
      // What is wrong with one model says nothing of the next one; without a network or a disk the next one fails as well.
      if (!(error instanceof DownloaderError && OF_THE_MODEL.has(error.code))) throw error;
      failures.set(model, error);
    }
  }
  const blobs = new Map<string, PlannedBlob>();
  const planned: PlannedModel[] = [];
  for (const remoteFiles of listed) {
    const files: PlannedFile[] = [];
    for (const offered of remoteFiles.files) {
      const finalPath = blobPathOf(cacheDir, remoteFiles, offered);
      const blob = blobs.get(finalPath) ?? (await planBlob(cacheDir, remoteFiles, offered, finalPath));
      blobs.set(finalPath, blob);
      files.push({ offered, blob });
    }
    planned.push({ remoteFiles, files });
  }
  return { plan: { ...settled, models: planned, blobs: [...blobs.values()] }, failures };
}

/** Error codes that say what is wrong with a model or its name. */
const OF_THE_MODEL: ReadonlySet<string> = new Set([
  'NOT_FOUND',
  'AUTH_REQUIRED',
  'ACCESS_DENIED',
  'CHECKPOINT_INVALID',
  'PATH_REFUSED',
]);

/** Returns the final path of a remote file's blob. */
function blobPathOf(cacheDir: string, remoteFiles: RemoteFiles, offered: RemoteFile): string {
  if (offered.volumePath !== undefined) return join(cacheDir, ...offered.volumePath.split('/'));
  return remoteFiles.commit === undefined
    ? plainPath(cacheDir, basename(offered.file.path))
    : blobPath(cacheDir, remoteFiles.repository, offered.hash.value);
}

/** Plans one blob by what is at its final path, and next to it. */
async function planBlob(
  cacheDir: string,
  remoteFiles: RemoteFiles,
  offered: RemoteFile,
  finalPath: string,
): Promise<PlannedBlob> {
  await assertInsideCache(cacheDir, finalPath);
  const { state, repository } = remoteFiles;
  const { file, hash, sources, sizeBytes } = offered;
  const inspected = state.inspection.files.find((candidate) => candidate.file.path === file.path);
  const damaged = state.damaged.has(file.path);
  const trusted =
    offered.isVerified === true ||
    (inspected?.found !== undefined && sameBlob(inspected.found, remoteFiles, hash) && !damaged);
  const there = await fileSize(finalPath);
  const sized = there !== undefined && (sizeBytes === undefined || sizeBytes === there);
  const action = damaged || !sized ? 'fetch' : trusted ? 'keep' : 'verify';
  const isResumable = action === 'fetch' && sizeBytes !== undefined;
  return {
    label: `${repository} ${file.path}`,
    path: file.path,
    finalPath,
    lockPath: blobLockPath(cacheDir, repository, hash.value),
    sizeBytes,
    hash,
    sources,
    action,
    resumableBytes: isResumable ? await resumableBytes({ finalPath, sizeBytes, hash }) : 0,
  };
}

/** Returns whether the file on disk is known, without reading it, to be the configured one. */
function sameBlob(found: FoundFile, remoteFiles: RemoteFiles, hash: ContentHash): boolean {
  // A plain file has no blob name to compare.
  if (remoteFiles.commit === undefined) return found.hash?.type === hash.type && found.hash.value === hash.value;
  // The lock file has the sha256 of the bytes: they are read to be locked, and before that to be trusted.
  return hash.type === 'sha256' && found.blobId === hash.value;
}

function offlineError(lacking: readonly ModelState[], environment: CacheState['environment']): DownloaderError {
  const lines = lacking.flatMap((model) => missingLines(model));
  return new DownloaderError(
    'OFFLINE',
    [
      `${offlineReason(environment)}, so no request is made, and these files are missing or wrong:`,
      ...lines.map((line) => `  ${line}`),
      `With a network, run: ${onlineCommand(environment, 'download')}`,
    ].join('\n'),
  );
}

/** Throws the CacheError of a model that cannot be looked up: what it lacks is unknown, and fetching it again would not help. */
export function assertReadable(models: readonly ModelState[]): void {
  const problems = models.flatMap(({ inspection }) => inspection.problems);
  const unreadable = problems.find(({ code }) => code === 'CACHE_UNREADABLE');
  if (unreadable !== undefined) throw unreadable;
}

/** Lists what a model lacks, one line per file. */
export function missingLines({ configured, inspection, damaged }: ModelState): string[] {
  const name = `${configured.role} ${configured.id}`;
  if (inspection.found === undefined && inspection.files.length === 0) {
    const required = withStandIns(configured.files, () => false).filter((file) => file.required);
    const weights = configured.compile === undefined ? [] : ['model.safetensors, or another form of its checkpoint'];
    return [...required.map(({ path }) => path), ...weights].map((path) => `${name}: ${path}`);
  }
  const { checkpoint, problems } = inspection;
  const wrong = [...damaged].map((path) => `${name}: ${path} (its bytes are wrong)`);
  const others = problems.filter(({ code }) => code !== 'MODEL_NOT_COMPILED');
  // A checkpoint that is there is compiled once the others are fetched.
  const listed = checkpoint !== undefined && others.length + wrong.length > 0 ? others : problems;
  return [
    ...listed.map(({ file, path, message }) =>
      file === undefined ? message : `${name}: ${file} (expected at ${path})`,
    ),
    ...wrong,
  ];
}
