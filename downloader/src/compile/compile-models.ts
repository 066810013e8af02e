import { randomBytes } from 'node:crypto';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import {
  COMPILED_MANIFEST_NAME,
  COMPILING_PREFIX,
  type CompiledKey,
  type CompiledManifest,
  type CompiledSource,
  type ContentHash,
  compiledKeyName,
  compiledRepositoryPath,
  compilerInputs,
  compilerVersion,
  DENSE_DIR,
  type FoundCheckpoint,
  type FoundFile,
  formatCompiledManifest,
  hasExactByteProducts,
  hashFile,
  minCosine,
  replaceDir,
} from '@heimdex/cache';
import { byPath, formatBytes, formatDuration, sumSizes } from '@heimdex/common';
import type { ModelState } from '../cache-state.js';
import type { CommandContext } from '../commands/context.js';
import { asDiskError, assertFits, makeDir } from '../disk.js';
import { CheckpointGone, DownloaderError } from '../errors.js';
import { CompileProgress } from '../progress/compile-progress.js';
import { recordVerified } from '../record-verified.js';
import { assertCompilable } from './assert-compilable.js';
import { wrongCheckpoint } from './cannot-compile.js';
import type { CompileOrder } from './compile-process.js';
import { readEmptyText } from './empty-text.js';
import { compileOfFound, compileStart } from './plan-compile.js';
import { runCompiler } from './run-compiler.js';
import { smallFilesOnVolume } from './small-files-on-volume.js';

/**
 * Compiles a model's checkpoint into a temporary directory and renames it to its key once it is complete. Leaves nothing
 * behind on failure.
 * Throws DownloaderError CHECKPOINT_INVALID, HASH_MISMATCH, DISK_FULL, DISK_FAILED, COMPILE_FAILED.
 *
 * @param verified - Hashes of files that this run has already read, by real path; they are not read again.
 * @param isAlone - Whether a lock keeps other processes from compiling it at the same time.
 */
export async function compileModel(
  context: CommandContext,
  state: ModelState,
  verified: ReadonlyMap<string, ContentHash>,
  isAlone: boolean,
): Promise<void> {
  const { config, log, signal } = context;
  const { configured, inspection } = state;
  const { checkpoint, repository, revision } = inspection;
  const [problem] = inspection.files.flatMap((file) => file.problem ?? []);
  if (problem !== undefined) throw problem;
  if (checkpoint === undefined) throw new CheckpointGone(configured.id);
  // A checkpoint that another program left was not planned by its files.
  const { config: network, dense } = await assertCompilable(configured, smallFilesOnVolume(state));
  const compile = compileOfFound({ ...state, config: network });
  const inputs = await compilerInputs(configured.dir, inspection.files, signal);
  if (compile === undefined || revision === undefined || inputs === undefined) {
    throw new Error(`${configured.id} is not to be compiled`);
  }
  const { cacheDir } = config.models;
  const repositoryDir = compiledRepositoryPath(cacheDir, repository);
  const startedMs = performance.now();
  log.info({ event: 'compile', model: configured.id, bytes: compile.bytes }, compileStart(configured.id, compile));
  const stamps = await stampsOf(checkpoint);
  const sources = await verifySources(checkpoint, verified, signal);
  const key: CompiledKey = {
    compiler: compilerVersion({ modelType: String(network.model_type), sources }),
    precision: compile.precision,
    overflowSafe: !hasExactByteProducts(),
    sources,
    inputs,
  };
  const temporary = join(repositoryDir, `${COMPILING_PREFIX}${randomBytes(6).toString('hex')}`);
  try {
    await makeDir(temporary);
    if (isAlone) await removeLeftovers(repositoryDir, temporary);
    await assertFits(repositoryDir, compile.diskBytes, 'compiled');
    const { model, peakBytes } = await compileInto(context, configured.id, {
      checkpoint: checkpoint.main,
      verified: checkpoint.files.map(({ absolutePath }) => absolutePath),
      config: network,
      emptyText: await readSpecialTokens(state),
      ...(dense && { dense: { ...dense, checkpoint: denseWeights(state) } }),
      dir: temporary,
      precision: compile.precision,
      overflowSafe: key.overflowSafe,
    });
    // One that another process removed meanwhile was read to its end.
    const now = await stampsOf(checkpoint).catch(() => stamps);
    const written = checkpoint.files.find((_, index) => now[index] !== stamps[index]);
    if (written !== undefined) throw writtenMeanwhile(written);
    const graphs = model.graphs.map(({ role, files, recipe, cosine }) => ({ role, cosine, recipe, files }));
    const { modelType } = model;
    const final = await publish(temporary, repositoryDir, { ...key, repository, commit: revision, modelType, graphs });
    const files = graphs.flatMap((graph) => graph.files);
    await recordVerified(
      context,
      files.map(({ name, sha256 }) => ({ finalPath: join(final, name), hash: { type: 'sha256', value: sha256 } })),
    );
    const bytes = sumSizes(files);
    const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(2));
    const cosine = minCosine(graphs);
    log.info(
      { event: 'compiled', model: configured.id, bytes, seconds, cosine, peakBytes },
      `Compiled ${configured.id}: ${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}, cosine to float32 at least ${cosine.toFixed(5)}`,
    );
  } catch (error) {
    throw asDiskError(error, repositoryDir);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Runs the compiler, showing its steps. */
async function compileInto({ screen, log, signal }: CommandContext, id: string, order: CompileOrder) {
  const progress = new CompileProgress(id, screen, log);
  try {
    return await runCompiler(order, (step) => progress.onStep(step), signal);
  } finally {
    progress.stop();
  }
}

/** Completes a directory of graphs with its manifest and gives it its name, which is its key. Returns its path. */
async function publish(dir: string, repositoryDir: string, manifest: CompiledManifest): Promise<string> {
  const text = formatCompiledManifest(manifest);
  await writeFile(join(dir, COMPILED_MANIFEST_NAME), text, { mode: 0o644, flag: 'wx', flush: true });
  // One that is there is damaged, or that of another process where locks are not supported.
  const final = join(repositoryDir, compiledKeyName(manifest));
  await replaceDir(dir, final);
  return final;
}

/** Size and time of each file of a checkpoint: the compiler reads them after their hashes, which name what it makes. */
async function stampsOf({ files }: FoundCheckpoint): Promise<readonly string[]> {
  const stats = await Promise.all(files.map(({ blobPath }) => stat(blobPath, { bigint: true })));
  return stats.map(({ size, mtimeNs }) => `${size} ${mtimeNs}`);
}

function writtenMeanwhile({ blobPath }: FoundFile): DownloaderError {
  return new DownloaderError(
    'COMPILE_FAILED',
    `${blobPath} was written to while it was compiled. When it is complete, run: heimdex-downloader download`,
  );
}

/** Reads every byte of the checkpoint and compares its sha256 with the known hash before compiling. */
async function verifySources(
  checkpoint: FoundCheckpoint,
  verified: ReadonlyMap<string, ContentHash>,
  signal: AbortSignal,
): Promise<readonly CompiledSource[]> {
  const sources: CompiledSource[] = [];
  for (const { path, blobPath, sizeBytes, hash } of checkpoint.files) {
    const known = verified.get(blobPath);
    const sha256 = known?.type === 'sha256' ? known.value : await hashFile('sha256', blobPath, signal);
    const actual = hash?.type === 'git-sha1' ? await hashFile('git-sha1', blobPath, signal) : sha256;
    if (hash !== undefined && actual !== hash.value) {
      throw wrongCheckpoint({ blobPath }, hash, actual);
    }
    sources.push({ path, sizeBytes, sha256 });
  }
  return byPath(sources);
}

/** The path of the weights of the layer behind the pooling, which assertCompilable has found. */
function denseWeights({ configured, inspection }: ModelState): string {
  const dir = `${posix.join(configured.dir, DENSE_DIR)}/`;
  const weights = inspection.checkpoint?.files.find(({ path }) => path.startsWith(dir));
  if (weights === undefined) throw new Error(`${configured.id} has no weights in ${dir}`);
  return weights.absolutePath;
}

/** Reads the token ids around every text, which the self-check needs, from the tokenizer. */
async function readSpecialTokens({ inspection }: ModelState): Promise<readonly number[] | undefined> {
  const { found } = inspection.files.find(({ file: { path } }) => basename(path) === 'tokenizer.json') ?? {};
  return found && readEmptyText(found.absolutePath);
}

/**
 * Removes output of killed runs, where a running one would hold the lock: a killed run's compiler ends a moment after it. What another user
 * left may be his to remove.
 */
async function removeLeftovers(dir: string, own: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.startsWith(COMPILING_PREFIX) && join(dir, name) !== own)
      await rm(join(dir, name), { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  }
}
