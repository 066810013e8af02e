/** Finds a compiled model: its graphs, and the checkpoint that they were compiled from. */
import { basename, join } from 'node:path';
import { isNotFound } from '@heimdex/common';
import { type CheckpointFiles, chooseCheckpoint } from './checkpoint-files.js';
import {
  type CompiledModelDir,
  compiledFiles,
  compiledPath,
  compilerVersion,
  readCompiledModels,
  whyUnusable,
} from './compiled-model.js';
import type { CompiledInput, CompiledManifest, CompiledSource } from './compiled-types.js';
import { compilerInputs } from './compiler-inputs.js';
import { CacheError } from './errors.js';
import type { FileInspection, FoundCheckpoint, FoundFile } from './found-model.js';
import { filesBelow } from './if-there.js';
import { type FileSearch, inspectFile, isFile } from './inspect-file.js';
import { pointerPath, snapshotPath } from './layout.js';
import type { LockedModel } from './lock-file.js';
import type { CompileRequest, ConfiguredModel, ModelFile } from './manifest-types.js';
import { DOWNLOAD_COMMAND, fileProblem, quickProblem } from './model-problems.js';
import type { Tree } from './tree-file.js';

/** Parameters of the search for a compiled model. */
export interface CompiledSearch extends FileSearch {
  readonly request: CompileRequest;
  readonly repository: string;
  readonly commit: string;
  readonly tree: Tree | undefined;
  /** The lock file's record of the model, whether or not it is required. */
  readonly record: LockedModel | undefined;
  /** The model's other files in the snapshot. */
  readonly files: readonly FileInspection[];
}

/** The weights that were found. */
export interface CompiledInspection {
  readonly files: readonly FoundFile[];
  readonly model: CompiledModelDir | undefined;
  readonly checkpoint: FoundCheckpoint | undefined;
  readonly problems: readonly CacheError[];
}

/** Finds graphs of the configured precision, compiled by this compiler version from the snapshot's checkpoint and small files. */
export async function inspectCompiled(search: CompiledSearch): Promise<CompiledInspection> {
  const { cacheDir, repository, locked } = search;
  const { checkpoint, missing } = await findCheckpoint(search);
  const inputs = await compilerInputs(search.configured.dir, search.files, search.signal);
  const compiled = await readCompiledModels(cacheDir, repository);
  const candidates = compiled.filter((model) => fits(model, search, checkpoint, inputs));
  const usable = candidates.filter(({ manifest }) => whyUnusable(manifest) === undefined);
  const [model] = [...usable].sort((a, b) => rank(a, search.record) - rank(b, search.record));
  if (model === undefined) {
    const problem = notCompiled(search, checkpoint, missing, whyNone(compiled, candidates, search.request));
    return { files: [], model: undefined, checkpoint, problems: [problem] };
  }
  try {
    const files = await compiledFiles(model, isOfOthers(locked, compiled) ? undefined : locked);
    const problems = files.flatMap((file) => quickProblem(search.configured, file) ?? []);
    return { files, model, checkpoint, problems };
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    const { path: absolutePath = model.path } = cause as NodeJS.ErrnoException;
    const file = { path: compiledPath(basename(absolutePath)), absolutePath };
    const problem = fileProblem(search.configured, file, 'FILE_MISSING', 'there is no regular file', cause);
    return { files: [], model: undefined, checkpoint, problems: [problem] };
  }
}

/**
 * The locked one first: machines with and without VNNI that share a volume serve the same bytes. Full-range weights are slightly closer to
 * the checkpoint. Of the same weights, the one compiled later names its inputs.
 */
function rank({ manifest }: CompiledModelDir, record: LockedModel | undefined): number {
  return (
    (isRecorded(manifest, record) ? 0 : 4) + (manifest.overflowSafe ? 2 : 0) + (manifest.inputs === undefined ? 1 : 0)
  );
}

function isRecorded({ graphs }: CompiledManifest, record: LockedModel | undefined): boolean {
  const locked = new Map(record?.files.map(({ path, sha256 }) => [path, sha256]));
  return graphs.every(({ files }) => files.every(({ name, sha256 }) => locked.get(compiledPath(name)) === sha256));
}

function fits(
  { manifest }: CompiledModelDir,
  search: CompiledSearch,
  checkpoint: FoundCheckpoint | undefined,
  inputs: readonly CompiledInput[] | undefined,
): boolean {
  if (manifest.compiler !== compilerVersion(manifest) || manifest.precision !== search.request.precision) return false;
  const isOfCommit = manifest.commit === search.commit;
  if (manifest.inputs === undefined ? !isOfCommit : !sameInputs(manifest.inputs, inputs)) return false;
  const there = manifest.sources.map(({ path }) => checkpoint?.files.find((file) => file.path === path));
  // The checkpoint of a snapshot may be another one of the same weights; one of the same names has the same number of files.
  if (there.some((file) => file !== undefined) && there.length !== checkpoint?.files.length) return false;
  return manifest.sources.every((source, index) => {
    const hash = there[index]?.hash;
    if (hash?.type === 'sha256') return hash.value === source.sha256;
    // A removed checkpoint may be that of several commits, and the lock file keeps its hashes.
    return isOfCommit || isLocked(source, search);
  });
}

function isLocked({ path, sha256 }: CompiledSource, { record, commit }: CompiledSearch): boolean {
  return record?.revision === commit && record.files.some((locked) => locked.path === path && locked.sha256 === sha256);
}

/** Unknown inputs are not compared: they are missing or wrong, which is a problem of its own. */
function sameInputs(compiled: readonly CompiledInput[], now: readonly CompiledInput[] | undefined): boolean {
  return (
    now === undefined ||
    (compiled.length === now.length &&
      now.every(({ path, sha256 }) => compiled.some((input) => input.path === path && input.sha256 === sha256)))
  );
}

/**
 * Whether the lock file names a form for other programs only, those of another version of the compiler or on CPUs with VNNI. As after an upgrade,
 * when a server of the version before starts again on the same volume: it serves its own form, by the hashes that lie beside it.
 */
function isOfOthers(locked: LockedModel | undefined, compiled: readonly CompiledModelDir[]): boolean {
  const named = compiled.filter(({ manifest }) => isRecorded(manifest, locked));
  return named.length > 0 && named.every(({ manifest }) => whyUnusable(manifest) !== undefined);
}

interface CheckpointSearchResult {
  readonly checkpoint: FoundCheckpoint | undefined;
  /** Problems of the checkpoint, if one is known. */
  readonly missing: CacheError | undefined;
}

/** Finds the checkpoint of the snapshot, or one of the same weights outside of it. */
async function findCheckpoint(search: CompiledSearch): Promise<CheckpointSearchResult> {
  const { cacheDir, repository, commit, tree, configured } = search;
  const snapshot = snapshotPath(cacheDir, repository, commit);
  const names = new Set([...(await filesBelow(snapshot)), ...(tree?.keys() ?? [])]);
  const chosen = chooseCheckpoint([...names], configured.dir);
  const inSnapshot = chosen && (await lookInSnapshot(search, chosen));
  if (inSnapshot?.checkpoint !== undefined) return inSnapshot;
  for (const { path, sha256, sizeBytes } of search.request.checkpoints) {
    const file: ModelFile = { path, required: true, sizeBytes, sha256 };
    const { found } = await inspectFile(search, file, join(cacheDir, ...path.split('/')), undefined);
    if (found !== undefined) return { checkpoint: { main: found.absolutePath, files: [found] }, missing: undefined };
  }
  return inSnapshot ?? { checkpoint: undefined, missing: undefined };
}

async function lookInSnapshot(search: CompiledSearch, chosen: CheckpointFiles): Promise<CheckpointSearchResult> {
  const { cacheDir, repository, commit, tree } = search;
  const at = (path: string) => pointerPath(cacheDir, repository, commit, path);
  const inspections = await Promise.all(
    chosen.paths.map((path) => inspectFile(search, { path, required: true }, at(path), tree)),
  );
  const [missing] = inspections.flatMap(({ problem }) => problem ?? []);
  if (missing !== undefined) return { checkpoint: undefined, missing };
  const files = inspections.flatMap(({ found }) => found ?? []);
  return { checkpoint: { main: at(chosen.main), files }, missing: undefined };
}

/** Returns the problem of a model with only a checkpoint outside of its repository; undefined if there is none. */
export async function loneCheckpointProblem(
  cacheDir: string,
  { compile, role, id, variable, name }: ConfiguredModel,
): Promise<CacheError | undefined> {
  for (const file of compile?.checkpoints ?? []) {
    const path = join(cacheDir, ...file.path.split('/'));
    if (!(await isFile(path))) continue;
    return new CacheError(
      'MODEL_NOT_COMPILED',
      `The ${role} model ${id} (${variable}=${name}) cannot be used: its checkpoint ${path} is present but not compiled yet, and its small files (config.json, tokenizer.json) are missing. Run ${DOWNLOAD_COMMAND}, which fetches them and compiles it`,
      { role, model: id, path, variable, command: DOWNLOAD_COMMAND },
    );
  }
  return undefined;
}

/** Returns why none of a repository's compiled models can be used, of which the candidates are as configured; undefined if there is none. */
function whyNone(
  compiled: readonly CompiledModelDir[],
  [candidate]: readonly CompiledModelDir[],
  { precision }: CompileRequest,
): string | undefined {
  if (candidate !== undefined) return whyUnusable(candidate.manifest);
  const current = compiled.filter(({ manifest }) => manifest.compiler === compilerVersion(manifest));
  if (current.length === 0) return compiled[0] && whyUnusable(compiled[0].manifest);
  const others = [...new Set(current.map(({ manifest }) => manifest.precision))];
  return others.includes(precision)
    ? 'it is compiled from other files than those of this commit'
    : `it is compiled to ${others.join(' and ')}, not to ${precision}`;
}

function notCompiled(
  search: CompiledSearch,
  checkpoint: FoundCheckpoint | undefined,
  missing: CacheError | undefined,
  unusable: string | undefined,
): CacheError {
  const { configured, cacheDir, repository, commit } = search;
  const { role, id, variable, name } = configured;
  if (checkpoint !== undefined || unusable !== undefined) {
    const why = unusable ?? `its checkpoint ${checkpoint?.main} is present but not compiled yet`;
    const what = checkpoint === undefined ? 'fetches its checkpoint again and compiles it' : 'compiles it';
    return new CacheError(
      'MODEL_NOT_COMPILED',
      `The ${role} model ${id} (${variable}=${name}) cannot be used: ${why}. Run ${DOWNLOAD_COMMAND}, which ${what}`,
      { role, model: id, variable, command: DOWNLOAD_COMMAND, path: checkpoint?.main },
    );
  }
  if (missing !== undefined) return missing;
  const absolutePath = snapshotPath(cacheDir, repository, commit);
  return fileProblem(
    configured,
    { path: 'model.safetensors', absolutePath },
    'FILE_MISSING',
    'there is neither a compiled model nor a checkpoint',
  );
}
