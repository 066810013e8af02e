import { formatCount } from '@heimdex/common';
import type { Hub } from '@heimdex/hub';
import type { Sandbox } from '../sandbox.js';
import { formatMegabytes, formatMs, type Show } from '../show.js';

/** The downloader's summary of a run. */
interface Summary {
  readonly models: number;
  readonly fetchedFiles: number;
  readonly fetchedBytes: number;
  readonly reusedFiles: number;
  readonly seconds: number;
}

/** Model settings, as environment variables of the programs. */
export type ModelSettings = Readonly<Record<string, string>>;

/** Fills the volume, then runs the downloader again, which finds nothing to do. */
export async function download(
  show: Show,
  sandbox: Sandbox,
  hub: Hub,
  settings: ModelSettings,
  signal: AbortSignal,
): Promise<void> {
  show.step('Download once: files are hashed while streaming and published when complete');
  for (const [name, value] of Object.entries(settings)) show.line(`   ${show.color.dim(`${name}=${value}`)}`);
  show.command('npx heimdex-downloader');
  const first = await runDownloader(sandbox, hub, settings, signal);
  const { fetchedFiles, fetchedBytes, reusedFiles } = first.summary;
  const reused = reusedFiles > 0 ? `, ${formatCount(reusedFiles, 'file')} already present` : '';
  show.item(
    'downloaded',
    `${formatCount(fetchedFiles, 'file')}, ${formatMegabytes(fetchedBytes)} in ${formatMs(first.summary.seconds * 1000)}${reused}`,
  );
  show.item('hub requests', String(first.requests));
  show.command('npx heimdex-downloader');
  const second = await runDownloader(sandbox, hub, settings, signal);
  const checked = `${formatCount(second.summary.reusedFiles, 'file')} checked in ${formatMs(second.summary.seconds * 1000)}`;
  show.item('downloaded', second.summary.fetchedFiles === 0 ? show.good(`nothing: ${checked}`) : show.bad(checked));
  show.item('hub requests', String(second.requests));
}

async function runDownloader(
  sandbox: Sandbox,
  hub: Hub,
  settings: ModelSettings,
  signal: AbortSignal,
): Promise<{ readonly summary: Summary; readonly requests: number }> {
  const before = hub.requests.count;
  const program = sandbox.start('heimdex-downloader', [], { ...settings, HF_ENDPOINT: hub.url });
  await program.finish(signal);
  return { summary: await program.find(readSummary, signal), requests: hub.requests.count - before };
}

function readSummary(line: string): Summary | undefined {
  if (!line.includes('"event":"summary"')) return undefined;
  return JSON.parse(line);
}
