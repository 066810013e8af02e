import { type CacheError, type Proof, readProofs, type VerifyResult, verifyModels, writeProofs } from '@heimdex/cache';
import { DownloaderError, reasonOf } from '../errors.js';
import { takeInventory } from '../inventory.js';
import { sayCount, saySize, sayTime } from '../words.js';
import type { CommandContext } from './context.js';

/**
 * Reads every byte of the configured models and compares its hash with the lock file, the manifest or the blob's name.
 * With --quick only files whose time of change is another than when they were proved. No request.
 *
 * @throws DownloaderError MODEL_INCOMPLETE, DISK_FAILED or HASH_MISMATCH after everything has been looked at and printed.
 */
export async function verify(context: CommandContext): Promise<undefined> {
  const { config, signal, args, print } = context;
  const startedMs = performance.now();
  const inventory = await takeInventory(config.models, { signal });
  const problems = inventory.models.flatMap(({ inspection }) => inspection.problems);
  const found = inventory.models.flatMap(({ inspection }) => inspection.found ?? []);
  const { cacheDir } = config.models;
  const level = args.quick ? 'quick' : 'full';
  const results = await verifyModels(found, { level, cacheDir, proofs: await readProofs(cacheDir), signal });
  problems.push(...results.flatMap((result) => result.problems));
  await noteProofs(context, results);
  const durationMs = performance.now() - startedMs;
  print(args.json ? document(results, problems, durationMs) : words(results, durationMs));
  if (problems.length > 0) throw verifyError(problems);
}

/** What was proved needs no reading next time. A volume that cannot be written is proved all the same. */
async function noteProofs({ config, log }: CommandContext, results: readonly VerifyResult[]): Promise<void> {
  const proofs = new Map<string, Proof>(results.flatMap((result) => [...result.proofs]));
  if (proofs.size === 0) return;
  try {
    await writeProofs(config.models.cacheDir, proofs);
  } catch (error) {
    log.debug({ event: 'proofs' }, `What was proved could not be noted: ${reasonOf(error)}`);
  }
}

function document(results: readonly VerifyResult[], problems: readonly CacheError[], durationMs: number): string {
  const value = {
    ok: problems.length === 0,
    seconds: Number((durationMs / 1000).toFixed(3)),
    models: results.map(({ model, fileCount, bytesRead, unhashed }) => ({
      role: model.role,
      id: model.id,
      revision: model.revision,
      variant: model.variant,
      files: fileCount,
      bytesRead,
      unhashed,
    })),
    problems: problems.map(({ code, message, role, file, path }) => ({ code, message, role, file, path })),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function words(results: readonly VerifyResult[], durationMs: number): string {
  const lines = results.map(({ model, fileCount, bytesRead, problems }) => {
    const verdict = problems.length === 0 ? 'good' : sayCount(problems.length, 'problem');
    const read = bytesRead === 0 ? '' : `, ${saySize(bytesRead)} read`;
    return `${model.role}  ${model.id} (${model.variant}): ${verdict}, ${sayCount(fileCount, 'file')}${read}`;
  });
  const bytes = results.reduce((total, result) => total + result.bytesRead, 0);
  lines.push(`Verified ${sayCount(results.length, 'model')}, ${saySize(bytes)} in ${sayTime(durationMs)}.`);
  return `${lines.join('\n')}\n`;
}

const MISSING_CODES = new Set(['CACHE_MISSING', 'MODEL_MISSING', 'MODEL_NOT_COMPILED', 'FILE_MISSING']);
const UNREADABLE_CODES = new Set(['CACHE_UNREADABLE', 'FILE_UNREADABLE']);

function verifyError(problems: readonly CacheError[]): DownloaderError {
  const codes = new Set(problems.map(({ code }) => code));
  const unreadable = [...codes].some((code) => UNREADABLE_CODES.has(code));
  const wrong = [...codes].some((code) => !MISSING_CODES.has(code) && !UNREADABLE_CODES.has(code));
  const lines = [...new Set(problems.map((problem) => `  ${problem.message}`))];
  const next = wrong ? 'heimdex-downloader download --check' : 'heimdex-downloader download';
  return new DownloaderError(
    wrong ? 'HASH_MISMATCH' : unreadable ? 'DISK_FAILED' : 'MODEL_INCOMPLETE',
    [
      `${sayCount(lines.length, 'problem')}:`,
      ...lines,
      wrong || !unreadable ? `To mend it, run: ${next}` : 'Check the owner and the mode of what cannot be read.',
    ].join('\n'),
  );
}
