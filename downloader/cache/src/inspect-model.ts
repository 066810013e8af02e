/**
 * Finds a configured model on the volume: snapshot, files, sizes and identities. Reads names and sizes, not file contents
 * (except for a plain file without a known hash), and writes nothing.
 */
import { access, constants, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isNotFound, messageOf } from '@heimdex/common';
import { currentLayout, readRef } from './current-layout.js';
import { CacheError } from './errors.js';
import type { FileInspection, FoundModel, ModelInspection } from './found-model.js';
import { isDirThere } from './if-there.js';
import { type CompiledInspection, inspectCompiled, loneCheckpointProblem } from './inspect-compiled.js';
import { type FileSearch, inspectFile, isFile } from './inspect-file.js';
import { isCommit, plainPath, pointerPath, refPath, repoPath, snapshotPath } from './layout.js';
import { type LockedModel, lockedModel, lockRecord, type ModelsLock } from './lock-file.js';
import type { ConfiguredModel, ModelFile } from './manifest-types.js';
import { DOWNLOAD_COMMAND, modelProblem, permissionAdvice, unreadableProblem } from './model-problems.js';
import { withStandIns } from './stand-ins.js';
import { readTree, type Tree } from './tree-file.js';

export interface InspectOptions {
  /** Requires the locked commit, and each file's locked size and sha256. */
  readonly lock?: ModelsLock | undefined;
  /** A lock that is not required, but knows the hashes of removed checkpoints. Default: `lock`. */
  readonly known?: ModelsLock | undefined;
  /** The commit to look at. Default: the locked one, or else that of the branch on the volume. */
  readonly commit?: string | undefined;
  /** The variable that names the cache, for messages. Default `HF_HUB_CACHE`. */
  readonly cacheDirVariable?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds one model and checks presence, sizes and identities. Problems are returned in `problems`; throws only if the signal is
 * aborted.
 */
export async function inspectModel(
  cacheDir: string,
  configured: ConfiguredModel,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  const current = await currentLayout(cacheDir, configured, options.lock);
  const inspection = await inspectAs(cacheDir, current, options);
  if (current === configured.otherwise) return inspection;
  if (inspection.found !== undefined || configured.otherwise === undefined) return inspection;
  const other = await inspectAs(cacheDir, configured.otherwise, options);
  // A nearly complete model is more informative than a missing one, and a locked layout than a possible one.
  const isCompiled = other.compiled === true || other.problems.some(({ code }) => code === 'MODEL_NOT_COMPILED');
  const isNearer = other.found !== undefined || other.checkpoint !== undefined || isCompiled;
  return isNearer || isLockedAs(configured.otherwise, configured, options) ? other : inspection;
}

/** Whether only the second of a name's two layouts is in the lock file. */
function isLockedAs(second: ConfiguredModel, first: ConfiguredModel, { lock }: InspectOptions): boolean {
  return lockedModel(lock, first) === undefined && lockedModel(lock, second) !== undefined;
}

async function inspectAs(
  cacheDir: string,
  configured: ConfiguredModel,
  options: InspectOptions,
): Promise<ModelInspection> {
  const search: Search = {
    cacheDir,
    configured,
    locked: lockedModel(options.lock, configured),
    record: lockRecord(options.known ?? options.lock, configured),
    cacheDirVariable: options.cacheDirVariable ?? 'HF_HUB_CACHE',
    signal: options.signal,
  };
  options.signal?.throwIfAborted();
  const missing = await cacheProblem(search);
  const { commit } = options;
  const locations = repositoriesOf(configured, search.locked).map((location) =>
    commit === undefined ? location : { ...location, revision: commit },
  );
  const [firstLocation] = locations;
  if (missing !== undefined || firstLocation === undefined) {
    const problem = missing ?? modelMissing(search, repoPath(cacheDir, configured.id));
    return nothingFound(configured, firstLocation?.repository ?? configured.id, problem);
  }
  return configured.layout === 'plain'
    ? inspectPlain(search, locations)
    : inspectSnapshots(search, locations, firstLocation);
}

interface Search extends FileSearch {
  /** The lock file's record of the model, whether or not it is required. */
  readonly record: LockedModel | undefined;
  readonly cacheDirVariable: string;
}

/** A repository directory that may hold the model, and the revision in it. */
interface ModelLocation {
  readonly repository: string;
  readonly revision: string;
}

/** Files from sources other than a hub use a directory of the same layout, under the model's own name. */
const OWN_REVISION = 'main';

function repositoriesOf(configured: ConfiguredModel, locked: LockedModel | undefined): ModelLocation[] {
  if (locked !== undefined && locked.layout === 'snapshot') {
    return [{ repository: locked.repository, revision: locked.revision }];
  }
  const locations = new Map<string, ModelLocation>();
  for (const source of configured.sources) {
    const location =
      source.type === 'hf'
        ? { repository: source.repository, revision: source.revision }
        : { repository: configured.id, revision: OWN_REVISION };
    locations.set(`${location.repository}@${location.revision}`, location);
  }
  return [...locations.values()];
}

async function cacheProblem(search: Search): Promise<CacheError | undefined> {
  const { cacheDir, cacheDirVariable } = search;
  const about = { path: cacheDir, variable: cacheDirVariable, command: DOWNLOAD_COMMAND, role: search.configured.role };
  try {
    if ((await stat(cacheDir)).isDirectory()) {
      await access(cacheDir, constants.R_OK | constants.X_OK);
      return undefined;
    }
    return new CacheError(
      'CACHE_MISSING',
      `The model cache ${cacheDir} (${cacheDirVariable}) is not a directory`,
      about,
    );
  } catch (cause) {
    if (isNotFound(cause)) {
      return new CacheError(
        'CACHE_MISSING',
        `There is no model cache at ${cacheDir} (from ${cacheDirVariable}). Run ${DOWNLOAD_COMMAND}, or point ${cacheDirVariable} at the volume`,
        { ...about, cause },
      );
    }
    return new CacheError(
      'CACHE_UNREADABLE',
      `The model cache ${cacheDir} cannot be read: ${messageOf(cause)}${permissionAdvice(cause)}`,
      { ...about, cause },
    );
  }
}

async function inspectSnapshots(
  search: Search,
  locations: readonly ModelLocation[],
  first: ModelLocation,
): Promise<ModelInspection> {
  let best: ModelInspection | undefined;
  let unreadable: CacheError | undefined;
  let lookedAt = '';
  for (const { repository, revision } of locations) {
    let path = refPath(search.cacheDir, repository, revision);
    try {
      const commit = await commitOf(search.cacheDir, { repository, revision });
      if (commit !== undefined) path = snapshotPath(search.cacheDir, repository, commit);
      lookedAt ||= path;
      if (commit === undefined) continue;
      const isThere = await isDirThere(path);
      if (!isThere && search.configured.compile === undefined) continue;
      const inspection = await inspectSnapshot(search, repository, commit);
      // Without its snapshot, which Python may have removed, a compiled model lacks only its small files.
      if (!isThere && inspection.compiled !== true) continue;
      if (inspection.found !== undefined) return inspection;
      best ??= inspection;
    } catch (cause) {
      search.signal?.throwIfAborted();
      unreadable ??= unreadableProblem(search.configured, path, cause);
    }
  }
  if (best !== undefined) return best;
  const { configured } = search;
  const lone = await loneCheckpointProblem(search.cacheDir, configured);
  return nothingFound(configured, first.repository, unreadable ?? lone ?? modelMissing(search, lookedAt));
}

function nothingFound(configured: ConfiguredModel, repository: string, problem: CacheError): ModelInspection {
  return { configured, repository, revision: undefined, files: [], present: [], problems: [problem], found: undefined };
}

async function inspectSnapshot(search: Search, repository: string, commit: string): Promise<ModelInspection> {
  const { cacheDir, configured } = search;
  const tree = await readTree(cacheDir, repository, commit);
  search.signal?.throwIfAborted();
  const files = await Promise.all(
    (await filesOf(search, repository, commit, tree)).map((file) =>
      inspectFile(search, file, pointerPath(cacheDir, repository, commit, file.path), tree),
    ),
  );
  const dir = join(snapshotPath(cacheDir, repository, commit), ...configured.dir.split('/').filter(Boolean));
  const { compile: request } = configured;
  if (request === undefined) return inspectionOf(search, repository, commit, dir, files);
  const weights = await inspectCompiled({ ...search, request, repository, commit, tree, files });
  return inspectionOf(search, repository, commit, dir, files, weights);
}

/** Files of the model in this snapshot: a repository has what its tree lists; without a tree, what the volume has. */
async function filesOf(
  { cacheDir, configured: { files } }: Search,
  repository: string,
  commit: string,
  tree: Tree | undefined,
): Promise<readonly ModelFile[]> {
  const asked = files.flatMap(({ path, insteadOf }) => (insteadOf === undefined ? [] : [path, insteadOf]));
  const there = new Set<string>();
  for (const path of asked) {
    const isThere = tree?.has(path) ?? (await isFile(pointerPath(cacheDir, repository, commit, path)));
    if (isThere) there.add(path);
  }
  return withStandIns(files, (path) => there.has(path));
}

async function commitOf(cacheDir: string, { repository, revision }: ModelLocation): Promise<string | undefined> {
  return isCommit(revision) ? revision : readRef(cacheDir, repository, revision);
}

async function inspectPlain(search: Search, locations: readonly ModelLocation[]): Promise<ModelInspection> {
  const { cacheDir, configured } = search;
  const repository = locations[0]?.repository ?? configured.id;
  const files: FileInspection[] = [];
  let dir = cacheDir;
  for (const file of configured.files) {
    const path = plainPath(cacheDir, basename(file.path));
    let inspection = await inspectFile(search, file, path, undefined);
    // Files that Python downloaded into the repository's directory are valid too.
    for (const location of inspection.problem?.code === 'FILE_MISSING' ? locations : []) {
      const commit = await commitOf(cacheDir, location).catch(() => undefined);
      if (commit === undefined) continue;
      const pointer = pointerPath(cacheDir, location.repository, commit, file.path);
      const second = await inspectFile(search, file, pointer, await readTree(cacheDir, location.repository, commit));
      if (second.found === undefined) continue;
      inspection = second;
      dir = snapshotPath(cacheDir, location.repository, commit);
      break;
    }
    files.push(inspection);
  }
  // A plain file has no commit: its sha256 identifies it.
  return inspectionOf(search, repository, files[0]?.found?.hash?.value, dir, files);
}

function inspectionOf(
  search: Search,
  repository: string,
  revision: string | undefined,
  dir: string,
  files: readonly FileInspection[],
  weights?: CompiledInspection,
): ModelInspection {
  const { configured } = search;
  const problems = [...files.flatMap((file) => file.problem ?? []), ...(weights?.problems ?? [])];
  const present = [...files.flatMap(({ found }) => found ?? []), ...(weights?.files ?? [])];
  const checkpoint = weights?.checkpoint === undefined ? {} : { checkpoint: weights.checkpoint };
  const compiled = weights?.model === undefined || weights.problems.length > 0 ? {} : { compiled: true };
  const { role, family, name, variable, entry, id, variant } = configured;
  const described = { role, family, name, variable, entry, id, variant };
  const named = present.flatMap((file) => (file.weights === undefined ? [] : [[file.weights, file.absolutePath]]));
  const origin = weights?.model === undefined ? {} : { compiled: weights.model.manifest };
  const found: FoundModel | undefined =
    problems.length > 0 || revision === undefined
      ? undefined
      : { ...described, revision, dir, weights: Object.fromEntries(named), files: present, ...origin };
  return { configured, repository, revision, files, present, problems, found, ...compiled, ...checkpoint };
}

function modelMissing(search: Search, path: string): CacheError {
  return modelProblem(search.configured, search, search.locked?.revision, path);
}
