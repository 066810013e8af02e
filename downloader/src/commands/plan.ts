import type { ConfiguredModel, FoundFile } from '@heimdex/cache';
import { formatBytes, formatCount, formatTimeLeft, sumSizes } from '@heimdex/common';
import { readCacheState } from '../cache-state.js';
import { compileLine, compileOfFetched, compileOfFound } from '../compile/plan-compile.js';
import { lackOfSpace } from '../disk.js';
import { withListedFiles } from '../listed-files.js';
import { fetchText, type Plan, type PlannedBlob, type PlannedFile, type PlannedModel, totalsOf } from '../plan.js';
import { planDownload } from '../plan-download.js';
import { costsOf, howFilled, type PlanCosts } from '../turns.js';
import type { CommandContext } from './context.js';

/** Shows what `download` would do. */
export async function plan(context: CommandContext): Promise<undefined> {
  const { config, remote, signal, args, print, log } = context;
  const cacheState = await withListedFiles(await readCacheState(config.models, { readBytes: args.check, signal }));
  const plan = await planDownload(cacheState, remote, signal);
  const costs = costsOf(plan, config.keepCheckpoints);
  const lack = await lackOfSpace(config.models.cacheDir, costs.peakBytes, howFilled(costs));
  if (lack !== undefined) log.warn({ event: 'disk' }, lack);
  print(args.json ? document(config.models.cacheDir, plan, costs) : words(plan, costs, args.check));
}

function document(cacheDir: string, plan: Plan, costs: PlanCosts) {
  const { fetchFiles, fetchBytes, resumedBytes, presentFiles, presentBytes } = totalsOf(plan);
  return {
    cacheDir,
    fetch: { files: fetchFiles, bytes: fetchBytes, resumedBytes },
    present: { files: presentFiles, bytes: presentBytes },
    models: [
      ...plan.complete.map(({ configured, inspection }) => ({
        ...nameFields(configured, inspection.revision),
        complete: true,
        files: fileFields('keep', inspection.found?.files),
      })),
      ...plan.compile.map((state) => ({
        ...nameFields(state.configured, state.inspection.revision),
        complete: false,
        files: fileFields('compile', state.inspection.checkpoint?.files),
        compile: compileOfFound(state),
      })),
      ...plan.models.map(({ remoteFiles, files }) => ({
        compile: compileOfFetched({ remoteFiles, files }),
        ...nameFields(remoteFiles.state.configured, remoteFiles.commit),
        complete: false,
        files: files.map(({ offered, blob }) => ({
          path: offered.file.path,
          action: blob.action,
          bytes: blob.sizeBytes ?? null,
          resumableBytes: blob.resumableBytes,
          hash: { type: blob.hash.type, value: blob.hash.value },
        })),
      })),
    ],
    costs,
  };
}

function nameFields({ role, id, variant }: ConfiguredModel, revision: string | undefined) {
  return { role, id, variant, revision: revision ?? null };
}

function fileFields(action: string, files: readonly FoundFile[] = []) {
  return files.map(({ path, sizeBytes: bytes }) => ({ path, action, bytes }));
}

function words(plan: Plan, costs: PlanCosts, check: boolean): string {
  const lines = [
    ...plan.complete.map(
      ({ configured, inspection }) =>
        `${title(configured)}: complete, ${formatBytes(sumSizes(inspection.found?.files ?? []))}`,
    ),
    ...plan.compile.flatMap((state) => [
      `${title(state.configured)}: checkpoint present, to be compiled`,
      ...compileLines(compileOfFound(state)),
    ]),
    ...plan.models.flatMap(fetchLines),
  ];
  const { fetchFiles, presentFiles, presentBytes } = totalsOf(plan);
  if (costs.seconds > 0) {
    lines.push(
      `Compiling takes about ${formatTimeLeft(costs.seconds * 1000)}. The volume needs up to ${formatBytes(costs.peakBytes)} more during the run, and holds ${formatBytes(costs.endBytes)} more afterwards.`,
    );
  }
  const toFetch =
    fetchFiles === 0 ? '0 bytes to fetch' : `To fetch: ${formatCount(fetchFiles, 'file')}, ${fetchText(plan)}`;
  const command = `heimdex-downloader download${check ? ' --check' : ''}`;
  const next = plan.models.length + plan.compile.length === 0 ? '' : ` Next: ${command}`;
  lines.push(`${toFetch}. Present: ${formatCount(presentFiles, 'file')}, ${formatBytes(presentBytes)}.${next}`);
  return `${lines.join('\n')}\n`;
}

function title({ role, id, variant }: ConfiguredModel): string {
  return `${role}  ${id} (${variant})`;
}

function compileLines(compile: ReturnType<typeof compileOfFound>): readonly string[] {
  return compile === undefined ? [] : [compileLine(compile)];
}

function fetchLines(model: PlannedModel): readonly string[] {
  const { remoteFiles, files } = model;
  const at = remoteFiles.commit === undefined ? '' : ` at ${remoteFiles.commit.slice(0, 8)}`;
  const compile = compileOfFetched(model);
  return [
    `${title(remoteFiles.state.configured)}${at}`,
    ...files.map(({ offered, blob }) => `  ${ACTION_WORDS[blob.action]}  ${offered.file.path}  ${blobNote(blob)}`),
    ...compileLines(compile),
    ...(compile?.why === 'on the volume' ? smallFilesLine(files) : []),
  ];
}

/** Describes files to fetch although the weights are on the volume, with the reason. */
function smallFilesLine(files: readonly PlannedFile[]): readonly string[] {
  const missing = files.filter(({ blob }) => blob.action === 'fetch');
  if (missing.length === 0) return [];
  const bytes = sumSizes(missing.map(({ blob }) => blob));
  const isOpenAi = files.some(({ offered }) => offered.volumePath !== undefined);
  const why = isOpenAi ? ', which openai-whisper ships in its Python package' : '';
  return [
    `  The weights are present. Small files to fetch, ${formatBytes(bytes)}: ${missing.map(({ offered }) => offered.file.path).join(', ')}${why}`,
  ];
}

const ACTION_WORDS = { fetch: 'fetch ', verify: 'verify', keep: 'keep  ' } as const satisfies Record<
  PlannedBlob['action'],
  string
>;

function blobNote(blob: PlannedBlob): string {
  const size = blob.sizeBytes === undefined ? 'unknown size' : formatBytes(blob.sizeBytes);
  return blob.resumableBytes === 0 ? size : `${size}, ${formatBytes(blob.resumableBytes)} of it from an earlier run`;
}
