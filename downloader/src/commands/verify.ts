import {
  allOptimizedSources,
  type CacheError,
  checkOptimized,
  type FoundModel,
  type OptimizedCheck,
  type OptimizedRecord,
  PREPARE_COMMAND,
  readVerifications,
  type VerifyResult,
  verifyModels,
} from '@heimdex/cache';
import { formatBytes, formatCount, formatDuration, sumSizes } from '@heimdex/common';
import { ownCheckpoint, readCacheState } from '../cache-state.js';
import { DownloaderError } from '../errors.js';
import { writeRecords } from '../record-verified.js';
import type { CommandContext } from './context.js';

/**
 * Reads every byte of the configured models, of the checkpoints that this program downloaded for them and of their optimized
 * models, and compares the hashes with the lock file, the manifest, the blob's name or the repository's tree list. With --quick
 * reads only files whose modification time differs from the one recorded when they were verified. Makes no request.
 * Throws DownloaderError MODEL_INCOMPLETE, DISK_FAILED, HASH_MISMATCH or NOT_VERIFIED, after all files have been checked and
 * the result printed.
 */
export async function verify(context: CommandContext): Promise<undefined> {
  const { config, signal, args, print } = context;
  const startedMs = performance.now();
  const cacheState = await readCacheState(config.models, { signal });
  const problems = cacheState.models.flatMap(({ inspection }) => inspection.problems);
  const found = cacheState.models.flatMap(({ inspection }) => inspection.found ?? []);
  const { cacheDir } = config.models;
  const level = args.quick ? 'quick' : 'full';
  const unreadCheckpoints = new Map<FoundModel, number>();
  const withCheckpoints = cacheState.models.flatMap(({ inspection }) => {
    const { found: model, checkpoint } = inspection;
    if (model === undefined) return [];
    const own = ownCheckpoint(inspection, cacheState.lock);
    const whole = { ...model, files: [...model.files, ...own] };
    if (checkpoint !== undefined && own.length === 0) unreadCheckpoints.set(whole, sumSizes(checkpoint.files));
    return [whole];
  });
  const results = await verifyModels(withCheckpoints, {
    level,
    cacheDir,
    verifications: await readVerifications(cacheDir),
    signal,
  });
  const prepared = await verifyOptimized(cacheDir, found, cacheState.lock?.prepared ?? [], level, signal);
  problems.push(...[...results, ...prepared].flatMap((result) => result.problems));
  await writeRecords(context, () => new Map(results.flatMap((result) => [...result.verifications])));
  const report = { results, unreadCheckpoints, prepared, problems, durationMs: performance.now() - startedMs };
  print(args.json ? document(report) : words(report));
  if (problems.length > 0) throw verifyError(problems);
  const unverified = results.flatMap(({ model, unhashed }) =>
    unhashed.map((path) => `${model.role} ${model.id}: ${path}`),
  );
  if (unverified.length > 0) throw unverifiedError(unverified);
}

interface Report {
  readonly results: readonly VerifyResult[];
  /** Bytes of the checkpoints that another program left, or that are outside of any repository: they are not served. */
  readonly unreadCheckpoints: ReadonlyMap<FoundModel, number>;
  readonly prepared: readonly OptimizedResult[];
  readonly problems: readonly CacheError[];
  readonly durationMs: number;
}

/** The result of an optimized model that is in the lock file. */
interface OptimizedResult extends OptimizedCheck {
  readonly record: OptimizedRecord;
}

async function verifyOptimized(
  cacheDir: string,
  found: readonly FoundModel[],
  records: readonly OptimizedRecord[],
  level: 'quick' | 'full',
  signal: AbortSignal,
): Promise<OptimizedResult[]> {
  const sources = allOptimizedSources(found);
  const results: OptimizedResult[] = [];
  for (const record of records.filter(({ source }) => sources.has(source))) {
    signal.throwIfAborted();
    results.push({ record, ...(await checkOptimized(cacheDir, record, level, signal)) });
  }
  return results.filter(({ present }) => present);
}

/** `good`: every byte is verified. `not verified`: no mismatch was found, but some files have no known hash. */
function statusOf(problems: readonly CacheError[], unhashed: readonly string[]): 'good' | 'wrong' | 'not verified' {
  if (problems.length > 0) return 'wrong';
  return unhashed.length > 0 ? 'not verified' : 'good';
}

function document({ results, unreadCheckpoints, prepared, problems, durationMs }: Report) {
  const status = statusOf(
    problems,
    results.flatMap(({ unhashed }) => unhashed),
  );
  return {
    ok: status === 'good',
    status,
    seconds: Number((durationMs / 1000).toFixed(3)),
    models: results.map(({ model, fileCount, bytesRead, unhashed, unread, problems: own }) => ({
      role: model.role,
      id: model.id,
      revision: model.revision,
      variant: model.variant,
      status: statusOf(own, unhashed),
      files: fileCount,
      bytesRead,
      unhashed,
      unread,
      unreadCheckpointBytes: unreadCheckpoints.get(model) ?? 0,
    })),
    prepared: prepared.map(({ record, bytesRead, problems: own }) => ({
      source: record.source,
      form: record.form,
      status: statusOf(own, []),
      bytesRead,
    })),
    problems: problems.map(({ code, message, role, file, path }) => ({ code, message, role, file, path })),
  };
}

function words({ results, unreadCheckpoints, prepared, durationMs }: Report): string {
  const lines = results.map(({ model, fileCount, bytesRead, problems, unhashed, unread }) => {
    const verdicts = {
      good: unread.length === 0 ? 'good' : `names and sizes match, ${formatCount(unread.length, 'file')} never read`,
      wrong: formatCount(problems.length, 'problem'),
      'not verified': `${formatCount(unhashed.length, 'file')} not verified (no known hash)`,
    };
    const read = bytesRead === 0 ? '' : `, ${formatBytes(bytesRead)} read`;
    const verdict = verdicts[statusOf(problems, unhashed)];
    const left = unreadCheckpoints.get(model);
    const unreadNote = left === undefined ? '' : `; its checkpoint (${formatBytes(left)}) not read`;
    return `${model.role}  ${model.id} (${model.variant}): ${verdict}, ${formatCount(fileCount, 'file')}${read}${unreadNote}`;
  });
  if (prepared.length > 0) {
    const wrong = prepared.filter(({ problems }) => problems.length > 0).length;
    lines.push(`${formatCount(prepared.length, 'optimized model')}: ${wrong === 0 ? 'good' : `${wrong} wrong`}`);
  }
  const bytes = [...results, ...prepared].reduce((total, result) => total + result.bytesRead, 0);
  lines.push(`Read ${formatCount(results.length, 'model')}, ${formatBytes(bytes)} in ${formatDuration(durationMs)}.`);
  return `${lines.join('\n')}\n`;
}

function unverifiedError(lines: readonly string[]): DownloaderError {
  return new DownloaderError(
    'NOT_VERIFIED',
    [
      `No mismatch was found, but ${formatCount(lines.length, 'file')} could not be verified: neither the lock file, the manifest, a blob's name nor the repository's tree list contains the hash of:`,
      ...lines.map((line) => `  ${line}`),
      'To get it from the hub and lock the model, with a network, run: heimdex-downloader download',
    ].join('\n'),
  );
}

const MISSING_CODES = new Set(['CACHE_MISSING', 'MODEL_MISSING', 'MODEL_NOT_COMPILED', 'FILE_MISSING']);
const UNREADABLE_CODES = new Set(['CACHE_UNREADABLE', 'FILE_UNREADABLE']);

function verifyError(problems: readonly CacheError[]): DownloaderError {
  const codes = new Set(problems.map(({ code }) => code));
  const unreadable = [...codes].some((code) => UNREADABLE_CODES.has(code));
  const wrong = [...codes].some((code) => !MISSING_CODES.has(code) && !UNREADABLE_CODES.has(code));
  const lines = [...new Set(problems.map((problem) => `  ${problem.message}`))];
  const onlyOptimized = problems.every(({ command }) => command === PREPARE_COMMAND);
  const next = onlyOptimized
    ? PREPARE_COMMAND
    : wrong
      ? 'heimdex-downloader download --check'
      : 'heimdex-downloader download';
  return new DownloaderError(
    wrong ? 'HASH_MISMATCH' : unreadable ? 'DISK_FAILED' : 'MODEL_INCOMPLETE',
    [
      `${formatCount(lines.length, 'problem')}:`,
      ...lines,
      // Each line about what cannot be read says what to do.
      ...(wrong || !unreadable ? [`To repair it, run: ${next}`] : []),
    ].join('\n'),
  );
}
