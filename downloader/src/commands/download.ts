import { formatBytes, formatCount, formatDuration } from '@heimdex/common';
import { type CacheState, isComplete, type ModelState, readCacheState } from '../cache-state.js';
import { CheckpointGone } from '../errors.js';
import { mayLackModules, withListedFiles } from '../listed-files.js';
import { NOTHING_FETCHED, type RunFigures } from '../metrics.js';
import { type PlanTotals, totalsOf } from '../plan.js';
import { planDownload } from '../plan-download.js';
import { type UnverifiedModel, verifyFound } from '../verify-found.js';
import { whileNonePrunes } from '../volume-lock.js';
import type { CommandContext } from './context.js';
import type { DownloadTotals } from './download-and-lock.js';
import { downloadInTurn } from './download-in-turn.js';

/** Result of a download. */
interface DownloadResult extends DownloadTotals, Pick<PlanTotals, 'presentFiles' | 'presentBytes'> {
  readonly models: number;
  readonly durationMs: number;
}

/** Several processes that share a volume may each remove the checkpoint before another has compiled it, but each only once. */
const MAX_ATTEMPTS = 4;

/** Downloads the configured models: manifest, cache state, plan, fetch, verify, publish. */
export async function download(context: CommandContext): Promise<RunFigures> {
  context.count(NOTHING_FETCHED);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await downloadOnce(context);
    } catch (error) {
      if (!(error instanceof CheckpointGone) || attempt === MAX_ATTEMPTS) throw error;
      context.log.warn({ event: 'checkpoint-gone' }, `${error.what}. It is fetched again.`);
    }
  }
}

async function downloadOnce(context: CommandContext): Promise<RunFigures> {
  const startedMs = performance.now();
  const { config, signal, args } = context;
  const read = async () => withListedFiles(await readCacheState(config.models, { readBytes: args.check, signal }));
  const found = await read();
  // A volume that lacks nothing may be read-only, and needs no lock.
  if (found.models.every(isComplete)) return downloadFrom(context, found, startedMs);
  return whileNonePrunes(context, async () => downloadFrom(context, args.check ? found : await read(), startedMs));
}

async function downloadFrom(context: CommandContext, found: CacheState, startedMs: number): Promise<RunFigures> {
  const { remote, signal } = context;
  const { cacheState, unverified } = await verifyFound(found, remote, signal);
  for (const model of unverified) warnUnverified(context, model);
  for (const model of cacheState.models) await warnOfModules(context, cacheState, model);
  const plan = await planDownload(cacheState, remote, signal);
  const notLocked = new Set(unverified.map(({ state }) => state.configured));
  const totals = await downloadInTurn(context, cacheState, plan, notLocked);
  const { presentFiles, presentBytes } = totalsOf(plan);
  const durationMs = performance.now() - startedMs;
  const result = { ...totals, models: cacheState.models.length, presentFiles, presentBytes, durationMs };
  summarize(context, result);
  return { ...result, reusedBytes: presentBytes + totals.resumedBytes };
}

function warnUnverified({ log }: CommandContext, { state, paths, reason }: UnverifiedModel): void {
  const { role, id } = state.configured;
  log.warn(
    { event: 'not-verified', role, model: id, files: paths },
    `The ${role} model ${id} is on the volume but could not be verified, so it is not locked: no hash is known for ${paths.join(', ')}, and the hub did not provide one: ${reason.replace(/\.$/, '')}. To verify and lock it, run with a network: heimdex-downloader download`,
  );
}

async function warnOfModules({ log }: CommandContext, cacheState: CacheState, state: ModelState): Promise<void> {
  if (!(await mayLackModules(cacheState, state))) return;
  const { role, id } = state.configured;
  log.warn(
    { event: 'no-modules', role, model: id },
    `Another program left the ${role} model ${id} on the volume without modules.json and the files that it names: if its repository has them, its vectors are pooled otherwise. To fetch them, run with a network: heimdex-downloader update`,
  );
}

function summarize({ log }: CommandContext, result: DownloadResult): void {
  const { fetchedFiles, networkBytes, resumedBytes, compiledModels, presentFiles, presentBytes, durationMs } = result;
  const { models } = result;
  const facts = {
    event: 'summary',
    models,
    fetchedFiles,
    fetchedBytes: networkBytes,
    reusedFiles: presentFiles,
    reusedBytes: presentBytes + resumedBytes,
    compiledModels,
    seconds: Number((durationMs / 1000).toFixed(3)),
  };
  const time = formatDuration(durationMs);
  const there =
    presentFiles === 0 ? '' : `; already present: ${formatCount(presentFiles, 'file')}, ${formatBytes(presentBytes)}`;
  const compiled = compiledModels === 0 ? '' : `compiled ${formatCount(compiledModels, 'model')}`;
  const resumed = resumedBytes === 0 ? '' : `; resumed ${formatBytes(resumedBytes)} of an earlier run`;
  if (models === 0) {
    log.info(facts, 'No model is configured: nothing to download');
  } else if (fetchedFiles === 0 && compiledModels > 0) {
    log.info(facts, `Fetched nothing and ${compiled} in ${time}${there}`);
  } else if (fetchedFiles === 0) {
    log.info(
      facts,
      `Up to date: ${formatCount(models, 'model')}, ${formatCount(presentFiles, 'file')}, ${formatBytes(presentBytes)}, checked in ${time}`,
    );
  } else {
    log.info(
      facts,
      `Downloaded ${formatCount(fetchedFiles, 'file')}, ${formatBytes(networkBytes)}${compiled === '' ? '' : ` and ${compiled}`} in ${time}${resumed}${there}`,
    );
  }
}
