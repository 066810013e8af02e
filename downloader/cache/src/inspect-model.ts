/**
 * Looks a configured model up in the volume: which snapshot, which files, their sizes and identities. Reads names and
 * sizes, never a model's bytes (but for a plain file whose hash nobody knows), and writes nothing.
 */
import { lstat, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFile } from './content-hash.js';
import { CacheError, type CacheErrorCode } from './errors.js';
import type { FileInspection, FoundFile, FoundModel, ModelInspection } from './found-model.js';
import {
  type ContentHash,
  hashOfBlobId,
  isCommit,
  plainPath,
  pointerPath,
  refPath,
  repoPath,
  snapshotPath,
} from './layout.js';
import { type LockedFile, type LockedModel, lockedModel, type ModelsLock } from './lock-file.js';
import type { ConfiguredModel, ModelFile } from './manifest-types.js';
import { readTree, type Tree } from './tree-file.js';

/** The command that mends a volume, as the messages give it. */
export const DOWNLOAD_COMMAND = 'heimdex-downloader download';

export interface InspectOptions {
  /** Holds the model to what was locked: its commit, and each file's size and sha256. */
  readonly lock?: ModelsLock | undefined;
  /** The variable that names the cache, for messages. Default `HF_HUB_CACHE`. */
  readonly cacheDirVariable?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks one model up and checks presence, sizes and identities. What is wrong stands in `problems`; throws only when
 * the signal is aborted.
 */
export async function inspectModel(
  cacheDir: string,
  configured: ConfiguredModel,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  const search: Search = {
    cacheDir,
    configured,
    locked: lockedModel(options.lock, configured),
    cacheDirVariable: options.cacheDirVariable ?? 'HF_HUB_CACHE',
    signal: options.signal,
  };
  options.signal?.throwIfAborted();
  const missing = await cacheProblem(search);
  const places = repositoriesOf(configured, search.locked);
  const [firstPlace] = places;
  if (missing !== undefined || firstPlace === undefined) {
    const problems = missing === undefined ? [modelMissing(search, repoPath(cacheDir, configured.id))] : [missing];
    return {
      configured,
      repository: firstPlace?.repository ?? configured.id,
      revision: undefined,
      files: [],
      problems,
      found: undefined,
    };
  }
  return configured.layout === 'plain' ? inspectPlain(search, places) : inspectSnapshots(search, places, firstPlace);
}

interface Search {
  readonly cacheDir: string;
  readonly configured: ConfiguredModel;
  readonly locked: LockedModel | undefined;
  readonly cacheDirVariable: string;
  readonly signal: AbortSignal | undefined;
}

/** A repository's folder that may hold the model, and the revision in it. */
interface Place {
  readonly repository: string;
  readonly revision: string;
}

/** Files from other sources than a hub lie in a folder of the same kind, under the model's own name. */
const OWN_REVISION = 'main';

function repositoriesOf(configured: ConfiguredModel, locked: LockedModel | undefined): Place[] {
  if (locked !== undefined && locked.layout === 'snapshot') {
    return [{ repository: locked.repository, revision: locked.revision }];
  }
  const places = new Map<string, Place>();
  for (const source of configured.sources) {
    const place =
      source.type === 'hf'
        ? { repository: source.repository, revision: source.revision }
        : { repository: configured.id, revision: OWN_REVISION };
    places.set(`${place.repository}@${place.revision}`, place);
  }
  return [...places.values()];
}

async function cacheProblem(search: Search): Promise<CacheError | undefined> {
  const { cacheDir, cacheDirVariable } = search;
  const about = { path: cacheDir, variable: cacheDirVariable, command: DOWNLOAD_COMMAND, role: search.configured.role };
  try {
    if ((await stat(cacheDir)).isDirectory()) return undefined;
    return new CacheError('CACHE_MISSING', `The model cache ${cacheDir} (${cacheDirVariable}) is not a folder`, about);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') {
      return new CacheError(
        'CACHE_MISSING',
        `There is no model cache at ${cacheDir} (from ${cacheDirVariable}). Run ${DOWNLOAD_COMMAND}, or point ${cacheDirVariable} at the volume`,
        { ...about, cause },
      );
    }
    return new CacheError('CACHE_UNREADABLE', `The model cache ${cacheDir} cannot be read: ${messageOf(cause)}`, {
      ...about,
      cause,
    });
  }
}

async function inspectSnapshots(search: Search, places: readonly Place[], first: Place): Promise<ModelInspection> {
  let best: ModelInspection | undefined;
  let lookedAt = '';
  for (const { repository, revision } of places) {
    const commit = isCommit(revision) ? revision : await readRef(search.cacheDir, repository, revision);
    lookedAt ||=
      commit === undefined
        ? refPath(search.cacheDir, repository, revision)
        : snapshotPath(search.cacheDir, repository, commit);
    if (commit === undefined || !(await isDirectory(snapshotPath(search.cacheDir, repository, commit)))) continue;
    const inspection = await inspectSnapshot(search, repository, commit);
    if (inspection.found !== undefined) return inspection;
    best ??= inspection;
  }
  if (best !== undefined) return best;
  const { configured } = search;
  const problems = [modelMissing(search, lookedAt)];
  return { configured, repository: first.repository, revision: undefined, files: [], problems, found: undefined };
}

/** The commit a branch or tag stood for when it was downloaded; undefined when there is none. */
export async function readRef(cacheDir: string, repository: string, revision: string): Promise<string | undefined> {
  try {
    const commit = (await readFile(refPath(cacheDir, repository, revision), 'utf8')).trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

async function inspectSnapshot(search: Search, repository: string, commit: string): Promise<ModelInspection> {
  const { cacheDir, configured } = search;
  const tree = await readTree(cacheDir, repository, commit);
  const files: FileInspection[] = [];
  for (const file of configured.files) {
    search.signal?.throwIfAborted();
    const path = pointerPath(cacheDir, repository, commit, file.path);
    files.push(await inspectFile(search, file, path, tree));
  }
  const folder = join(snapshotPath(cacheDir, repository, commit), ...configured.folder.split('/').filter(Boolean));
  return inspectionOf(search, repository, commit, folder, files);
}

async function inspectPlain(search: Search, places: readonly Place[]): Promise<ModelInspection> {
  const { cacheDir, configured } = search;
  const repository = places[0]?.repository ?? configured.id;
  const files: FileInspection[] = [];
  let folder = cacheDir;
  for (const file of configured.files) {
    const path = plainPath(cacheDir, basename(file.path));
    let inspection = await inspectFile(search, file, path, undefined);
    // What Python downloaded into the repository's folder serves as well.
    for (const place of inspection.problem?.code === 'FILE_MISSING' ? places : []) {
      const commit = isCommit(place.revision)
        ? place.revision
        : await readRef(cacheDir, place.repository, place.revision);
      if (commit === undefined) continue;
      const pointer = pointerPath(cacheDir, place.repository, commit, file.path);
      const second = await inspectFile(search, file, pointer, await readTree(cacheDir, place.repository, commit));
      if (second.found === undefined) continue;
      inspection = second;
      folder = snapshotPath(cacheDir, place.repository, commit);
      break;
    }
    files.push(inspection);
  }
  return inspectionOf(search, repository, await plainRevision(search, files), folder, files);
}

/** A plain file has no commit: its sha256 says what it is, read from the bytes where nothing else says it. */
async function plainRevision(search: Search, files: readonly FileInspection[]): Promise<string | undefined> {
  const found = files[0]?.found;
  if (found === undefined) return undefined;
  if (found.hash?.type === 'sha256') return found.hash.value;
  return hashFile('sha256', found.blobPath, search.signal);
}

function inspectionOf(
  search: Search,
  repository: string,
  revision: string | undefined,
  folder: string,
  files: readonly FileInspection[],
): ModelInspection {
  const { configured } = search;
  const problems = files.flatMap((file) => file.problem ?? []);
  const found = files.flatMap((file) => file.found ?? []);
  const model: FoundModel | undefined =
    problems.length > 0 || revision === undefined
      ? undefined
      : {
          role: configured.role,
          family: configured.family,
          name: configured.name,
          variable: configured.variable,
          entry: configured.entry,
          id: configured.id,
          revision,
          variant: configured.variant,
          folder,
          weights: Object.fromEntries(
            found.flatMap((file) => (file.weights === undefined ? [] : [[file.weights, file.absolutePath]])),
          ),
          files: found,
        };
  return { configured, repository, revision, files, problems, found: model };
}

async function inspectFile(
  search: Search,
  file: ModelFile,
  path: string,
  tree: Tree | undefined,
): Promise<FileInspection> {
  const locked = search.locked?.files.find((candidate) => candidate.path === file.path);
  const nothing = { file, absolutePath: path, found: undefined };
  try {
    const found = await lookAt(file, path, locked, tree);
    if (found !== undefined) {
      const problem = quickProblem(search.configured, found);
      return problem === undefined ? { ...nothing, found, problem } : { ...nothing, problem };
    }
  } catch (cause) {
    return {
      ...nothing,
      problem: fileProblem(search.configured, file.path, path, 'FILE_UNREADABLE', messageOf(cause), cause),
    };
  }
  const needed = file.required || locked !== undefined || (isExternalData(file.path) && tree?.has(file.path) === true);
  if (!needed) return { ...nothing, problem: undefined };
  return { ...nothing, problem: fileProblem(search.configured, file.path, path, 'FILE_MISSING', 'it is not there') };
}

/** The weights beside a graph too large for one file: needed whenever the repository has them. */
function isExternalData(path: string): boolean {
  return path.endsWith('_data');
}

async function lookAt(
  file: ModelFile,
  path: string,
  locked: LockedFile | undefined,
  tree: Tree | undefined,
): Promise<FoundFile | undefined> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return undefined;
    throw cause;
  }
  const info = await stat(real);
  if (!info.isFile()) throw new Error('it is not a file');
  // The first link names the blob; a second one, into Xet's shared store, names something else.
  const blobId = (await lstat(path)).isSymbolicLink() ? basename(await readlink(path)) : undefined;
  const listed = tree?.get(file.path);
  const named = blobId === undefined ? undefined : hashOfBlobId(blobId);
  return {
    path: file.path,
    weights: file.weights,
    absolutePath: path,
    blobPath: real,
    sizeBytes: info.size,
    expectedSizeBytes: locked?.sizeBytes ?? file.sizeBytes ?? listed?.lfsSizeBytes ?? listed?.sizeBytes,
    hash: expectedHash(locked?.sha256 ?? file.sha256, named, listed?.lfsSha256),
    blobId,
  };
}

function expectedHash(
  pinned: string | undefined,
  named: ContentHash | undefined,
  listed: string | undefined,
): ContentHash | undefined {
  if (pinned !== undefined) return { type: 'sha256', value: pinned };
  return named ?? (listed === undefined ? undefined : { type: 'sha256', value: listed });
}

/** What a look at name and size says against a file: empty, another size than expected, another blob than pinned. */
export function quickProblem(model: ConfiguredModel | FoundModel, found: FoundFile): CacheError | undefined {
  const { path, absolutePath, sizeBytes, expectedSizeBytes, hash, blobId } = found;
  if (sizeBytes === 0 && expectedSizeBytes !== 0) {
    return fileProblem(model, path, absolutePath, 'FILE_EMPTY', 'it is empty');
  }
  if (expectedSizeBytes !== undefined && sizeBytes !== expectedSizeBytes) {
    const sizes = `it has ${sizeBytes} bytes, expected ${expectedSizeBytes}`;
    return fileProblem(model, path, absolutePath, 'FILE_SIZE_WRONG', sizes);
  }
  const named = blobId === undefined ? undefined : hashOfBlobId(blobId);
  if (named !== undefined && hash !== undefined && named.type === hash.type && named.value !== hash.value) {
    const hashes = `its ${named.type} is ${named.value}, expected ${hash.value}`;
    return fileProblem(model, path, absolutePath, 'FILE_HASH_WRONG', hashes);
  }
  return undefined;
}

/** An error about one file of a model: role, file, path looked at, variable to change, command that mends it. */
export function fileProblem(
  model: Pick<ConfiguredModel, 'role' | 'id' | 'variable' | 'name'>,
  file: string,
  path: string,
  code: CacheErrorCode,
  what: string,
  cause?: unknown,
): CacheError {
  return new CacheError(
    code,
    `The ${model.role} model ${model.id} (${model.variable}=${model.name}) cannot be used: its file ${file} at ${path}: ${what}. Run ${DOWNLOAD_COMMAND}, or change ${model.variable}`,
    { role: model.role, model: model.id, file, path, variable: model.variable, command: DOWNLOAD_COMMAND, cause },
  );
}

function modelMissing(search: Search, path: string): CacheError {
  const { configured, cacheDir, cacheDirVariable } = search;
  const { role, id, variable, name } = configured;
  return new CacheError(
    'MODEL_MISSING',
    `The ${role} model ${id} (${variable}=${name}) is not in the cache ${cacheDir}: there is nothing at ${path}. Run ${DOWNLOAD_COMMAND}, change ${variable}, or point ${cacheDirVariable} at the volume that has it`,
    { role, model: id, path, variable, command: DOWNLOAD_COMMAND },
  );
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
