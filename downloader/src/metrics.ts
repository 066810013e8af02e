import { replaceFile } from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import { outputPath } from './disk.js';
import { DownloaderError, EXIT_STATUS } from './errors.js';

/** Numeric results of a run. A command omits what it does not know. */
export interface RunFigures {
  readonly models?: number;
  readonly fetchedFiles?: number;
  readonly networkBytes?: number;
  /** Bytes that needed no request: already present, or left by an earlier run. */
  readonly reusedBytes?: number;
  readonly retries?: number;
}

/** One run for the metrics file. */
export interface RunRecord {
  readonly command: string;
  readonly exitStatus: number;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly endedAtMs: number;
  readonly figures: RunFigures;
}

/** Numbers of a run that fails before it fetches anything. */
export const NOTHING_FETCHED = { fetchedFiles: 0, networkBytes: 0, retries: 0 } as const satisfies RunFigures;

/** Adds figures by their names. */
export function sumOf<Figures extends object>(left: Figures, right: Figures): Figures {
  const added = Object.entries(right).map(([name, value]) => [name, value + (left[name as keyof Figures] ?? 0)]);
  return { ...left, ...Object.fromEntries(added) };
}

const FIGURE_METRICS = {
  models: ['models', 'Number of configured models.'],
  fetchedFiles: ['fetched_files', 'Number of fetched files.'],
  networkBytes: ['fetched_bytes', 'Bytes received over the network.'],
  reusedBytes: ['reused_bytes', 'Bytes already on the volume.'],
  retries: ['retries', 'Number of retried requests.'],
} as const satisfies Record<keyof RunFigures, readonly [string, string]>;

/** Formats the run as Prometheus text; each name begins with `heimdex_downloader_`. */
export function metricsText(record: RunRecord): string {
  const { command, exitStatus, durationMs, endedAtMs, figures } = record;
  const lines: string[] = [];
  const gauge = (name: string, help: string, value: number) => {
    const full = `heimdex_downloader_${name}`;
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, `${full}{command="${command}"} ${value}`);
  };
  gauge('success', 'Whether the last run succeeded.', exitStatus === EXIT_STATUS.ok ? 1 : 0);
  gauge('exit_status', 'Exit status of the last run.', exitStatus);
  gauge('duration_seconds', 'Duration of the last run in seconds.', durationMs / 1000);
  gauge('last_run_timestamp_seconds', 'End of the last run, in seconds since 1970.', endedAtMs / 1000);
  for (const [key, [name, help]] of Object.entries(FIGURE_METRICS)) {
    const value = figures[key as keyof RunFigures];
    if (value !== undefined) gauge(name, help, value);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Writes the metrics file atomically, so that the collector never reads half of it.
 * Throws DownloaderError DISK_FAILED.
 */
export async function writeMetrics(path: string, record: RunRecord): Promise<void> {
  try {
    const replaced = await outputPath(path);
    if (replaced === undefined) throw new Error('it is not a regular file');
    await replaceFile(replaced, metricsText(record));
  } catch (error) {
    const what = `The file of --metrics-file, ${path}, cannot be written: ${messageOf(error)}. Name another one, or let this user write its directory.`;
    throw new DownloaderError('DISK_FAILED', what, { cause: error });
  }
}
