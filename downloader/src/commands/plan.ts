import { formatBytes, formatCount, formatTimeLeft } from '@heimdex/common';
import { readCacheState } from '../cache-state.js';
import { compileLine, compileOfFetched, compileOfFound, type PlannedCompile } from '../compile/plan-compile.js';
import { type Plan, type PlannedBlob, type PlannedFile, totalsOf } from '../plan.js';
import { preparePlan } from '../prepare.js';
import { costsOf, type PlanCosts } from '../turns.js';
import type { CommandContext } from './context.js';

/** Shows what a download would do. */
export async function plan(context: CommandContext): Promise<undefined> {
  const { config, remote, signal, args, print } = context;
  const cacheState = await readCacheState(config.models, { readBytes: args.check, signal });
  const made = await preparePlan(cacheState, remote, signal);
  const costs = costsOf(made, config.keepCheckpoints);
  const document = { ...planDocument(config.models.cacheDir, made), costs };
  print(args.json ? `${JSON.stringify(document, null, 2)}\n` : planText(made, costs));
}

function planDocument(cacheDir: string, made: Plan) {
  const { fetchFiles, fetchBytes, resumedBytes, presentFiles, presentBytes } = totalsOf(made);
  return {
    cacheDir,
    fetch: { files: fetchFiles, bytes: fetchBytes, resumedBytes },
    present: { files: presentFiles, bytes: presentBytes },
    models: [
      ...made.complete.map(({ configured, inspection }) => ({
        role: configured.role,
        id: configured.id,
        variant: configured.variant,
        revision: inspection.revision ?? null,
        complete: true,
        files: (inspection.found?.files ?? []).map((file) => ({
          path: file.path,
          action: 'keep',
          bytes: file.sizeBytes,
        })),
      })),
      ...made.compile.map(({ configured, inspection }) => ({
        role: configured.role,
        id: configured.id,
        variant: configured.variant,
        revision: inspection.revision ?? null,
        complete: false,
        files: (inspection.checkpoint?.files ?? []).map((file) => ({
          path: file.path,
          action: 'compile',
          bytes: file.sizeBytes,
        })),
        ...compileField(compileOfFound({ configured, inspection })),
      })),
      ...made.models.map(({ remoteFiles, files }) => ({
        ...compileField(compileOfFetched({ remoteFiles, files })),
        role: remoteFiles.state.configured.role,
        id: remoteFiles.state.configured.id,
        variant: remoteFiles.state.configured.variant,
        revision: remoteFiles.commit ?? null,
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
  };
}

function planText(made: Plan, costs: PlanCosts): string {
  const lines: string[] = [];
  for (const { configured, inspection } of made.complete) {
    const files = inspection.found?.files ?? [];
    const bytes = files.reduce((total, file) => total + file.sizeBytes, 0);
    lines.push(`${configured.role}  ${configured.id} (${configured.variant}): all there, ${formatBytes(bytes)}`);
  }
  for (const state of made.compile) {
    const { configured } = state;
    const compile = compileOfFound(state);
    lines.push(`${configured.role}  ${configured.id} (${configured.variant}): its checkpoint is there, to be compiled`);
    if (compile !== undefined) lines.push(compileLine(compile));
  }
  for (const { remoteFiles, files } of made.models) {
    const { configured } = remoteFiles.state;
    const at = remoteFiles.commit === undefined ? '' : ` at ${remoteFiles.commit.slice(0, 8)}`;
    lines.push(`${configured.role}  ${configured.id} (${configured.variant})${at}`);
    for (const { offered, blob } of files)
      lines.push(`  ${ACTION_WORDS[blob.action]}  ${offered.file.path}  ${blobNote(blob)}`);
    const compile = compileOfFetched({ remoteFiles, files });
    if (compile === undefined) continue;
    lines.push(compileLine(compile));
    if (compile.why === 'on the volume') lines.push(...smallFilesLine(files));
  }
  const { fetchFiles, fetchBytes, presentFiles, presentBytes } = totalsOf(made);
  if (costs.seconds > 0) {
    lines.push(
      `Compiling takes about ${formatTimeLeft(costs.seconds * 1000)}. The volume will hold at most ${formatBytes(costs.peakBytes)} more than now on the way, ${formatBytes(costs.endBytes)} in the end.`,
    );
  }
  lines.push(
    fetchFiles === 0
      ? `Nothing to fetch, 0 bytes to fetch: ${formatCount(presentFiles, 'file')}, ${formatBytes(presentBytes)} are there.${made.compile.length === 0 ? '' : ' Next: heimdex-downloader download'}`
      : `To fetch: ${formatCount(fetchFiles, 'file')}, ${formatBytes(fetchBytes)}. There: ${formatCount(presentFiles, 'file')}, ${formatBytes(presentBytes)}. Next: heimdex-downloader download`,
  );
  return `${lines.join('\n')}\n`;
}

/** What is fetched though the weights are on the volume, and why. */
function smallFilesLine(files: readonly PlannedFile[]): readonly string[] {
  const missing = files.filter(({ blob }) => blob.action === 'fetch');
  if (missing.length === 0) return [];
  const bytes = missing.reduce((sum, { blob }) => sum + (blob.sizeBytes ?? 0), 0);
  const isOpenAi = files.some(({ offered }) => offered.volumePath !== undefined);
  const why = isOpenAi ? ', which openai-whisper keeps in its Python package and not on the volume' : '';
  return [
    `  The weights are there. To be fetched are ${formatBytes(bytes)} of small files: ${missing.map(({ offered }) => offered.file.path).join(', ')}${why}`,
  ];
}

function compileField(compile: PlannedCompile | undefined) {
  return compile === undefined ? {} : { compile };
}

const ACTION_WORDS = { fetch: 'fetch', prove: 'prove', keep: 'keep ' } as const satisfies Record<
  PlannedBlob['action'],
  string
>;

function blobNote(blob: PlannedBlob): string {
  const size = blob.sizeBytes === undefined ? 'size not known yet' : formatBytes(blob.sizeBytes);
  return blob.resumableBytes === 0 ? size : `${size}, ${formatBytes(blob.resumableBytes)} of it from an earlier run`;
}
