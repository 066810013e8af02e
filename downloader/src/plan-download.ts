import { assertInsideCache, withStandIns } from '@heimdex/cache';
import { type CacheState, isComplete, type ModelState, needsFetching, needsOnlyCompiling } from './cache-state.js';
import { readObject } from './compile/small-files.js';
import { smallFilesOnVolume } from './compile/small-files-on-volume.js';
import { fileSize } from './disk.js';
import { DownloaderError } from './errors.js';
import { listRemoteFiles } from './list-remote-files.js';
import { isOffline, offlineReason, onlineCommand } from './offline.js';
import { type BlobOnDisk, blobPathOf, type CheckpointState, makePlan, type Plan } from './plan.js';
import type { Remote } from './remote.js';
import type { RemoteFiles } from './remote-files.js';
import { resumableBytes } from './transfer/leftovers.js';

/**
 * Plans the download. Complete models cost no request.
 * Throws CacheError PATH_UNSAFE for a link out of the cache; if requests are forbidden, DownloaderError OFFLINE with all missing files, or
 * CacheError CACHE_UNREADABLE; errors of the sources otherwise.
 */
export async function preparePlan(cacheState: CacheState, remote: Remote, signal: AbortSignal): Promise<Plan> {
  const complete = cacheState.models.filter(isComplete);
  const compile = await Promise.all(cacheState.models.filter(needsOnlyCompiling).map(withConfig));
  const lacking = cacheState.models.filter(needsFetching);
  if (lacking.length > 0 && isOffline(cacheState.environment)) {
    assertReadable(lacking);
    throw offlineError(lacking, cacheState.environment);
  }
  return planFor(cacheState, { complete, compile }, lacking, remote, signal);
}

/** Plans every configured model, complete or not, against the current files of its sources. */
export function planAll(cacheState: CacheState, remote: Remote, signal: AbortSignal): Promise<Plan> {
  return planFor(cacheState, { complete: [], compile: [] }, cacheState.models, remote, signal);
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
): Promise<Plan> {
  const { cacheDir } = cacheState.environment;
  const allRemoteFiles: RemoteFiles[] = [];
  for (const model of models) allRemoteFiles.push(await listRemoteFiles(model, cacheDir, remote, signal));
  const onDisk = await statBlobs(cacheDir, allRemoteFiles);
  return makePlan(cacheDir, settled, allRemoteFiles, (path) => onDisk.get(path) ?? NOTHING);
}

const NOTHING: BlobOnDisk = { sizeBytes: undefined, resumableBytes: 0 };

async function statBlobs(cacheDir: string, allRemoteFiles: readonly RemoteFiles[]): Promise<Map<string, BlobOnDisk>> {
  const onDisk = new Map<string, BlobOnDisk>();
  for (const remoteFiles of allRemoteFiles) {
    for (const offered of remoteFiles.files) {
      const finalPath = blobPathOf(cacheDir, remoteFiles, offered);
      const { sizeBytes, hash } = offered;
      await assertInsideCache(cacheDir, finalPath);
      const resumable = sizeBytes === undefined ? 0 : await resumableBytes({ finalPath, sizeBytes, hash });
      onDisk.set(finalPath, { sizeBytes: await fileSize(finalPath), resumableBytes: resumable });
    }
  }
  return onDisk;
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
