import { formatBytes, formatTimeLeft } from '@heimdex/common';
import type { BlobOutcome, FetchEvents } from '../fetch.js';
import { warnOfNoLocks } from '../lock-events.js';
import type { Logger } from '../log.js';
import { type Plan, type PlannedBlob, totalsOf } from '../plan.js';
import { type RetryNotice, retryText } from '../transfer/retry.js';
import { barLine } from './bar.js';
import { RateMeter } from './meter.js';
import type { Screen } from './screen.js';

/** Counts for the summary and the metrics. */
export interface FetchTotals {
  readonly fetchedFiles: number;
  /** Bytes received over the network, including discarded ones. */
  readonly networkBytes: number;
  /** Bytes of fetched files resumed from an earlier run. */
  readonly resumedBytes: number;
  readonly retries: number;
}

const DRAW_MS = 120;
const LINE_MS = 5_000;
const MAX_BARS = 8;

interface ActiveFile {
  readonly name: string;
  readonly sizeBytes: number;
  haveBytes: number;
}

/** Reports the progress of a plan's fetch: bars on a terminal, otherwise a line every few seconds. */
export class FetchProgress implements FetchEvents {
  readonly #screen: Screen;
  readonly #log: Logger;
  readonly #fileCount: number;
  readonly #meter = new RateMeter();
  readonly #active = new Map<PlannedBlob, ActiveFile>();
  #expectedBytes: number;
  #finishedBytes = 0;
  readonly #timer: NodeJS.Timeout;
  #counts = { fetchedFiles: 0, resumedBytes: 0, retries: 0 };

  constructor(plan: Plan, screen: Screen, log: Logger) {
    const { fetchBytes, resumedBytes, fetchFiles } = totalsOf(plan);
    this.#screen = screen;
    this.#log = log;
    this.#expectedBytes = fetchBytes + resumedBytes;
    this.#fileCount = fetchFiles;
    const show = screen.draws ? () => this.#draw() : () => this.#line();
    this.#timer = setInterval(show, screen.draws ? DRAW_MS : LINE_MS);
    this.#timer.unref();
  }

  get totals(): FetchTotals {
    return { ...this.#counts, networkBytes: this.#meter.totalBytes };
  }

  /** Stops drawing. Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    this.#screen.draw([]);
  }

  onStart(blob: PlannedBlob, sizeBytes: number): void {
    if (blob.action === 'fetch') {
      this.#active.set(blob, { name: blob.path, sizeBytes, haveBytes: 0 });
      // In the plan a file of unknown size counts as 0.
      if (blob.sizeBytes === undefined) this.#expectedBytes += sizeBytes;
    }
    this.#log.debug({ event: 'file', file: blob.label, bytes: sizeBytes }, `fetching ${blob.label}`);
  }

  onBytes(blob: PlannedBlob, haveBytes: number): void {
    const file = this.#active.get(blob);
    if (file !== undefined) file.haveBytes = haveBytes;
  }

  onFetched(bytes: number): void {
    this.#meter.add(bytes, performance.now());
  }

  onRetry(blob: PlannedBlob, notice: RetryNotice): void {
    this.#counts.retries += 1;
    const { failures, delayMs } = notice;
    this.#log.warn({ event: 'retry', file: blob.label, failures, pauseMs: Math.round(delayMs) }, retryText(notice));
  }

  onDone(blob: PlannedBlob, outcome: BlobOutcome): void {
    const wasActive = this.#active.delete(blob);
    if (wasActive) this.#finishedBytes += outcome.sizeBytes;
    if (outcome.how === 'fetched') this.#counts.fetchedFiles += 1;
    this.#counts.resumedBytes += outcome.resumedBytes;
    this.#log.debug({ event: 'file-done', file: blob.label, how: outcome.how }, `${blob.label}: ${outcome.how}`);
  }

  onWait(blob: PlannedBlob): void {
    this.#log.info({ event: 'wait', file: blob.label }, `Another process is fetching ${blob.label}; waiting for it`);
  }

  onLockUnsupported(path: string, reason: string): void {
    warnOfNoLocks(this.#log, path, reason);
  }

  #have(): number {
    let have = this.#finishedBytes;
    for (const file of this.#active.values()) have += file.haveBytes;
    return have;
  }

  #line(): void {
    const haveBytes = this.#have();
    const rate = this.#meter.rate(performance.now());
    const leftMs = this.#leftMs(haveBytes, rate);
    const percent = Math.floor((100 * haveBytes) / Math.max(1, this.#expectedBytes));
    this.#log.info(
      {
        event: 'progress',
        bytes: haveBytes,
        totalBytes: this.#expectedBytes,
        bytesPerSecond: Math.round(rate ?? 0),
        ...(leftMs === undefined ? {} : { secondsLeft: Math.round(leftMs / 1000) }),
        files: this.#counts.fetchedFiles,
        totalFiles: this.#fileCount,
      },
      `${percent}% of ${formatBytes(this.#expectedBytes)}${speedWords(rate, leftMs)}`,
    );
  }

  #draw(): void {
    const { columns } = this.#screen;
    const rate = this.#meter.rate(performance.now());
    const haveBytes = this.#have();
    const leftMs = this.#leftMs(haveBytes, rate);
    const files = [...this.#active.values()];
    const lines = files
      .slice(0, MAX_BARS)
      .map((file) => barLine({ ...file, suffix: formatBytes(file.sizeBytes) }, columns));
    if (files.length > MAX_BARS) lines.push(`  and ${files.length - MAX_BARS} more`);
    const total = {
      name: `${this.#counts.fetchedFiles} of ${this.#fileCount} files`,
      sizeBytes: this.#expectedBytes,
      haveBytes,
    };
    lines.push(
      barLine({ ...total, suffix: `${formatBytes(this.#expectedBytes)}${speedWords(rate, leftMs)}` }, columns),
    );
    this.#screen.draw(lines);
  }

  #leftMs(haveBytes: number, rate: number | undefined): number | undefined {
    if (rate === undefined || rate < 1) return undefined;
    return (Math.max(0, this.#expectedBytes - haveBytes) * 1000) / rate;
  }
}

/** Formats `, 53.7 MB/s, 12 s left`, omitting what is unknown. */
function speedWords(rate: number | undefined, leftMs: number | undefined): string {
  const speed = rate === undefined ? '' : `, ${formatBytes(Math.round(rate))}/s`;
  const left = leftMs === undefined ? '' : `, ${formatTimeLeft(leftMs)} left`;
  return `${speed}${left}`;
}
