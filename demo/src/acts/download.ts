import type { Hub } from '@heimdex/hub';
import { counted, megabytes, type Show, time } from '../show.js';
import type { Workplace } from '../workplace.js';

/** What the downloader says of its run. */
interface Summary {
  readonly models: number;
  readonly fetchedFiles: number;
  readonly fetchedBytes: number;
  readonly reusedFiles: number;
  readonly seconds: number;
}

/** Which models, in the words of the programs' environment. */
export type ModelSettings = Readonly<Record<string, string>>;

/** Fills the volume, and again: the second run finds everything there. */
export async function download(
  show: Show,
  workplace: Workplace,
  hub: Hub,
  settings: ModelSettings,
  signal: AbortSignal,
): Promise<void> {
  show.step('Download once: every file hashed while it streams, published when it is whole');
  for (const [name, value] of Object.entries(settings)) show.line(`   ${show.color.dim(`${name}=${value}`)}`);
  show.command('npx heimdex-downloader');
  const first = await runDownloader(workplace, hub, settings, signal);
  const { fetchedFiles, fetchedBytes, reusedFiles } = first.summary;
  const reused = reusedFiles > 0 ? `, ${counted(reusedFiles, 'file')} were there already` : '';
  show.item(
    'fetched',
    `${counted(fetchedFiles, 'file')}, ${megabytes(fetchedBytes)} in ${time(first.summary.seconds * 1000)}${reused}`,
  );
  show.item('the hub saw', counted(first.requests, 'request'));
  show.command('npx heimdex-downloader');
  const second = await runDownloader(workplace, hub, settings, signal);
  const nothing = `${counted(second.summary.reusedFiles, 'file')} checked in ${time(second.summary.seconds * 1000)}`;
  show.item('fetched', second.summary.fetchedFiles === 0 ? show.good(`nothing: ${nothing}`) : show.bad(nothing));
  show.item('the hub saw', counted(second.requests, 'request'));
}

async function runDownloader(
  workplace: Workplace,
  hub: Hub,
  settings: ModelSettings,
  signal: AbortSignal,
): Promise<{ readonly summary: Summary; readonly requests: number }> {
  const before = hub.requests.count;
  const program = workplace.start('heimdex-downloader', [], { ...settings, HF_ENDPOINT: hub.url });
  const stop = () => void program.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await program.finish();
    return { summary: await program.find(readSummary, signal), requests: hub.requests.count - before };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function readSummary(line: string): Summary | undefined {
  if (!line.includes('"event":"summary"')) return undefined;
  return JSON.parse(line);
}
