import { hashFile, type LockedFile, type LockedModel, lockRecord, type ModelsLock } from '@heimdex/cache';
import { formatBytes, formatCount } from '@heimdex/common';
import { isComplete, type ModelState, needsOnlyCompiling, readCacheState } from '../cache-state.js';
import { DownloaderError } from '../errors.js';
import { NOTHING_FETCHED, type RunFigures } from '../metrics.js';
import { isOffline, offlineReason, onlineCommand } from '../offline.js';
import { type Plan, type PlannedFile, type PlannedModel, totalsOf, withModels } from '../plan.js';
import { notUsable, planAll } from '../plan-download.js';
import { whileNonePrunes } from '../volume-lock.js';
import type { CommandContext } from './context.js';
import { downloadInTurn } from './download-in-turn.js';

/** Changes of one model between the lock file and its sources. */
interface ModelChange {
  readonly model: PlannedModel;
  readonly before: LockedModel | undefined;
  /** Files that are new, changed or gone. */
  readonly files: readonly FileChange[];
}

interface FileChange {
  readonly path: string;
  readonly how: 'new' | 'changed' | 'gone';
  readonly bytesBefore: number | undefined;
  readonly bytesAfter: number | undefined;
}

/**
 * Lists the current files of every model's source, shows the differences from the lock file, and unless it is a dry run
 * fetches and locks them, with what the volume lacks of the others. Models that no source has are left as they are, and named by the
 * error with which it ends then.
 */
export async function update(context: CommandContext): Promise<RunFigures> {
  const { config, args } = context;
  context.count(NOTHING_FETCHED);
  if (isOffline(config.models)) {
    throw new DownloaderError(
      'OFFLINE',
      `${offlineReason(config.models)}, and only the hub knows what changed. With a network, run: ${onlineCommand(config.models, 'update')}`,
    );
  }
  return args.dryRun ? compareAndFetch(context) : whileNonePrunes(context, () => compareAndFetch(context));
}

async function compareAndFetch(context: CommandContext): Promise<RunFigures> {
  const { config, remote, signal, args, print, log } = context;
  const found = await readCacheState(config.models, { ignoreLock: true, signal });
  const { plan: complete, failures } = await planAll(found, remote, signal);
  const cacheState = { ...found, models: found.models.filter((model) => !failures.has(model)) };
  const compared: ModelChange[] = [];
  for (const model of complete.models) compared.push(await changeOf(model, cacheState.lock, signal));
  const changes = compared.filter(hasChanged);
  // Also of models that have not changed: files may have been removed.
  const incomplete = complete.models.filter(isIncomplete);
  const lacking = incomplete.map(({ remoteFiles }) => remoteFiles.state);
  if (failures.size > 0 && changes.length + lacking.length === 0) throw notUsable(failures);
  const plan = withoutSettled(complete, new Set([...changes.map(({ model }) => model), ...incomplete]));
  if (!args.json) print(words(changes, lacking, totalsOf(plan).fetchBytes));
  const isDone = args.dryRun || changes.length + lacking.length === 0;
  const totals = isDone ? undefined : await downloadInTurn(context, cacheState, plan);
  // A program reads it as what was done.
  if (args.json) print(document(changes, args.dryRun));
  const models = cacheState.models.length;
  if (totals !== undefined) {
    const done =
      changes.length === 0
        ? `${formatCount(lacking.length, 'model')} completed`
        : `${formatCount(changes.length, 'model')} updated and locked`;
    log.info({ event: 'updated', models: changes.length }, done);
  }
  if (failures.size > 0) throw notUsable(failures);
  if (totals === undefined) return { models };
  return { ...totals, models, reusedBytes: totalsOf(plan).presentBytes + totals.resumedBytes };
}

/** Whether a model lacks a file that it is to have: its repository has it, though another one may not. */
function isIncomplete({ remoteFiles: { state }, files }: PlannedModel): boolean {
  const isMissing = (path: string) =>
    state.inspection.files.some(({ file, found }) => file.path === path && found === undefined);
  return !isComplete(state) || files.some(({ offered }) => isMissing(offered.file.path));
}

/** Drops unchanged compiled models that lack nothing: they no longer need their checkpoint, which may have been removed from the volume. */
function withoutSettled(plan: Plan, wanted: ReadonlySet<PlannedModel>): Plan {
  const isSettled = (model: PlannedModel) =>
    !wanted.has(model) && model.remoteFiles.state.inspection.found?.compiled !== undefined;
  return withModels(
    plan,
    plan.models.filter((model) => !isSettled(model)),
  );
}

async function changeOf(model: PlannedModel, lock: ModelsLock | undefined, signal: AbortSignal): Promise<ModelChange> {
  const { configured } = model.remoteFiles.state;
  const { formerVariant: variant } = model.remoteFiles;
  const former = variant === undefined ? undefined : lockRecord(lock, { ...configured, variant });
  const before = former ?? lockRecord(lock, configured);
  const files: FileChange[] = [];
  // A compiled model's checkpoint changes with its commit; which of the equal checkpoints it was compiled from is irrelevant.
  const isCompiled = (path: string) =>
    configured.compile !== undefined && !configured.files.some((file) => file.path === path);
  for (const file of model.files) {
    const { offered } = file;
    const { path } = offered.file;
    if (isCompiled(path) && before?.revision === model.remoteFiles.commit) continue;
    const old = before?.files.find((file) => file.path === path);
    if (old !== undefined && (await isSame(old, file, bytesOf(model, file), signal))) continue;
    const how = old === undefined ? 'new' : 'changed';
    files.push({ path, how, bytesBefore: old?.sizeBytes, bytesAfter: offered.sizeBytes });
  }
  for (const old of before?.files ?? []) {
    if (isCompiled(old.path) || model.files.some(({ offered }) => offered.file.path === old.path)) continue;
    files.push({ path: old.path, how: 'gone', bytesBefore: old.sizeBytes, bytesAfter: undefined });
  }
  return { model, before, files };
}

/** Returns where a file's bytes are: without links they are in the snapshot, not in blobs/. */
function bytesOf({ remoteFiles: { state } }: PlannedModel, { offered, blob }: PlannedFile): string {
  const inspected = state.inspection.files.find(({ file }) => file.path === offered.file.path);
  return inspected?.found?.blobPath ?? blob.finalPath;
}

/**
 * Returns whether a locked file equals the offered one. The hub knows a small file only by git's sha1, and the lock file may
 * know a plain file, or one that is no link into blobs/, only by its sha256: then the bytes on the volume are hashed to compare.
 */
async function isSame(
  old: LockedFile,
  { offered }: PlannedFile,
  bytesPath: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { type, value } = offered.hash;
  if ([old.sha256, old.blobId].includes(value)) return true;
  if (type !== 'git-sha1' || old.blobId !== undefined) return false;
  try {
    const there = await hashFile('sha256', bytesPath, signal);
    return there === old.sha256 && (await hashFile('git-sha1', bytesPath, signal)) === value;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

function hasChanged({ model, before, files }: ModelChange): boolean {
  const { commit } = model.remoteFiles;
  return before === undefined || files.length > 0 || (commit !== undefined && commit !== before.revision);
}

function document(changes: readonly ModelChange[], dryRun: boolean) {
  return {
    dryRun,
    moved: changes.map(({ model, before, files }) => ({
      role: model.remoteFiles.state.configured.role,
      id: model.remoteFiles.state.configured.id,
      from: before?.revision ?? null,
      to: model.remoteFiles.commit ?? model.files[0]?.offered.hash.value ?? null,
      files,
    })),
  };
}

function words(changes: readonly ModelChange[], lacking: readonly ModelState[], fetchBytes: number): string {
  if (changes.length === 0) {
    const compile = lacking.filter(needsOnlyCompiling).length;
    const fetch = formatCount(lacking.length - compile, 'model');
    const sentences = [
      'No changes: the lock file matches the sources.',
      ...(compile === lacking.length
        ? []
        : [`The volume lacks files of ${fetch}: ${formatBytes(fetchBytes)} to fetch.`]),
      ...(compile === 0 ? [] : [`${formatCount(compile, 'model')} to be compiled.`]),
    ];
    return `${sentences.join(' ')}\n`;
  }
  const lines: string[] = [];
  for (const { model, before, files } of changes) {
    const { configured } = model.remoteFiles.state;
    const from = before === undefined ? 'not locked' : before.revision.slice(0, 8);
    const to = model.remoteFiles.commit?.slice(0, 8) ?? 'different bytes';
    lines.push(`${configured.role}  ${configured.id} (${configured.variant}): ${from} -> ${to}`);
    for (const file of files) lines.push(`  ${file.how.padEnd(7)}  ${file.path}  ${sizes(file)}`);
    if (files.length === 0) lines.push('  all files have the same bytes');
  }
  lines.push(`${formatCount(changes.length, 'model')} changed, ${formatBytes(fetchBytes)} to fetch.`);
  return `${lines.join('\n')}\n`;
}

function sizes({ bytesBefore, bytesAfter }: FileChange): string {
  const format = (bytes: number | undefined) => (bytes === undefined ? '-' : formatBytes(bytes));
  return bytesBefore === undefined || bytesAfter === undefined
    ? format(bytesBefore ?? bytesAfter)
    : `${format(bytesBefore)} -> ${format(bytesAfter)}`;
}
