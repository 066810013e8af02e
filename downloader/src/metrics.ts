import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { asDiskError, makeDirOf } from './disk.js';
import { EXIT_STATUS } from './errors.js';

/** A run's result, in numbers. What a command does not know it leaves out. */
export interface RunFigures {
  readonly models?: number;
  readonly fetchedFiles?: number;
  readonly networkBytes?: number;
  /** Bytes that needed no request: they were there, or an earlier run had left them. */
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

const FIGURE_METRICS = {
  models: ['models', 'Models that are configured.'],
  fetchedFiles: ['fetched_files', 'Files that were fetched.'],
  networkBytes: ['fetched_bytes', 'Bytes that came over the network.'],
  reusedBytes: ['reused_bytes', 'Bytes that were on the volume already.'],
  retries: ['retries', 'Requests that had to be made again.'],
} as const satisfies Record<keyof RunFigures, readonly [string, string]>;

/** The run as Prometheus' text format; each name begins with `heimdex_downloader_`. */
export function metricsText(record: RunRecord): string {
  const { command, exitStatus, durationMs, endedAtMs, figures } = record;
  const lines: string[] = [];
  const gauge = (name: string, help: string, value: number) => {
    const full = `heimdex_downloader_${name}`;
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, `${full}{command="${command}"} ${value}`);
  };
  gauge('success', 'Whether the last run ended well.', exitStatus === EXIT_STATUS.ok ? 1 : 0);
  gauge('exit_status', 'Exit status of the last run.', exitStatus);
  gauge('duration_seconds', 'How long the last run took.', durationMs / 1000);
  gauge('last_run_timestamp_seconds', 'When the last run ended, in seconds since 1970.', endedAtMs / 1000);
  for (const [key, [name, help]] of Object.entries(FIGURE_METRICS)) {
    const value = figures[key as keyof RunFigures];
    if (value !== undefined) gauge(name, help, value);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Writes the metrics file in one step, so that the collector never reads half of it.
 *
 * @throws DownloaderError DISK_FULL or DISK_FAILED.
 */
export async function writeMetrics(path: string, record: RunRecord): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await makeDirOf(path);
    await writeFile(temporary, metricsText(record), { mode: 0o644, flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, path);
  }
}
