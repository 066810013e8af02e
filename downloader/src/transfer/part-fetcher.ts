import { KIB } from '@heimdex/common';
import { DownloaderError } from '../errors.js';
import type { PartialFile } from './partial-file.js';
import { type ByteRange, cutIntoParts } from './ranges.js';
import { TransientError, withRetries } from './retry.js';
import type { ByteSource, OpenedBytes } from './source.js';
import type { TransferEvents, TransferOptions } from './transfer-options.js';

/** Bytes collected before a write. Large enough to keep writes cheap, small enough for memory. */
const WRITE_BYTES = 512 * KIB;
/** Chunks collected before a write, for senders of tiny chunks. */
const WRITE_CHUNKS = 512;
/** A slow sender's bytes are written after this delay at the latest, so that a kill does not cost minutes. */
const WRITE_MS = 2_000;

/**
 * Fetches the missing bytes of a partial file. The first range is requested alone: if the answer shows that the sender supports
 * ranges, further connections start. A sender that ignores ranges starts again at the first byte: bytes already present are
 * skipped, the rest is used.
 */
export class PartFetcher {
  readonly #queue: ByteRange[];
  readonly #workers: Promise<void>[] = [];
  readonly #stop = new AbortController();
  #joined = false;
  #failure: unknown;

  constructor(
    readonly source: ByteSource,
    readonly partial: PartialFile,
    readonly options: TransferOptions,
    readonly events: TransferEvents,
  ) {
    this.#queue = cutIntoParts(partial.missing(), options.partBytes);
  }

  /** Resolves when all bytes are present; rejects with the first failure, after all connections have ended. */
  async run(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#stop.signal]);
    this.#startWorker(both);
    for (let worker = this.#workers.pop(); worker !== undefined; worker = this.#workers.pop()) await worker;
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #startWorker(signal: AbortSignal): void {
    const work = async () => {
      for (let part = this.#queue.shift(); part !== undefined; part = this.#queue.shift()) {
        await this.#fetchPart(part, signal);
      }
    };
    this.#workers.push(
      work().catch((error: unknown) => {
        this.#failure ??= error;
        this.#stop.abort();
      }),
    );
  }

  /** Starts more connections, once each is known to get a range of its own. */
  #join(signal: AbortSignal): void {
    if (this.#joined) return;
    this.#joined = true;
    const more = Math.min(this.options.connectionsPerFile - 1, this.#queue.length);
    for (let index = 0; index < more; index += 1) this.#startWorker(signal);
  }

  async #fetchPart(part: ByteRange, signal: AbortSignal): Promise<void> {
    let position = part.start;
    let end = part.end;
    const work = async (progressed: () => void) => {
      const whole = position === 0 && end === this.partial.sizeBytes;
      const opened = await this.source.open(whole ? undefined : { start: position, end }, signal);
      try {
        this.#check(opened, position);
        if (opened.ranged) {
          this.#join(signal);
        } else if (!this.#joined && end < this.partial.sizeBytes) {
          end = this.partial.sizeBytes;
          this.#queue.length = 0;
        }
        for await (const written of this.#store(opened, position, end)) {
          position += written;
          progressed();
        }
      } catch (error) {
        // Every byte is there: the answer lacks only its end.
        if (!(error instanceof TransientError) || position < end) throw error;
      } finally {
        opened.close();
      }
      if (position < end) throw new TransientError(endedEarly(this.source, position, end));
    };
    const { connection, retry } = this.options;
    await withRetries(
      ({ progressed }) => connection(() => work(progressed)),
      retry,
      signal,
      (notice) => this.events.onRetry(notice),
    );
  }

  /** Checks that the answer contains the requested bytes. */
  #check(opened: OpenedBytes, position: number): void {
    const { totalBytes, webPage = '' } = opened;
    if (webPage !== '' && totalBytes !== this.partial.sizeBytes) {
      throw new TransientError(notTheFile(this.source, webPage));
    }
    if (totalBytes !== undefined && totalBytes !== this.partial.sizeBytes) {
      throw sizeMismatch(this.source, this.partial.sizeBytes, `${totalBytes}`);
    }
    if (opened.ranged && opened.start !== position) {
      throw new TransientError(wrongPart(this.source, position, opened.start));
    }
  }

  /** Writes the body's bytes from `start` to `end`; yields the number of bytes after each write. */
  async *#store(opened: OpenedBytes, start: number, end: number): AsyncGenerator<number> {
    let chunks: Buffer[] = [];
    let gathered = 0;
    let position = start;
    let passOver = start - opened.start;
    let lastMs = performance.now();
    const flush = async () => {
      const sizeBytes = gathered;
      await this.partial.write(position, chunks);
      this.events.onBytes(this.partial.haveBytes);
      position += sizeBytes;
      chunks = [];
      gathered = 0;
      lastMs = performance.now();
      return sizeBytes;
    };
    try {
      for await (const received of opened.body) {
        this.events.onFetched(received.length);
        const chunk = received.subarray(Math.min(passOver, received.length));
        passOver -= received.length - chunk.length;
        const capacity = end - position - gathered;
        // What is beyond a range that ends before the file was not asked for, and is passed over.
        if (chunk.length > capacity && end === this.partial.sizeBytes) {
          throw sizeMismatch(this.source, this.partial.sizeBytes, `more than ${this.partial.sizeBytes}`);
        }
        const used = chunk.length > capacity ? chunk.subarray(0, capacity) : chunk;
        chunks.push(used);
        gathered += used.length;
        const due = gathered >= WRITE_BYTES || chunks.length >= WRITE_CHUNKS || performance.now() - lastMs > WRITE_MS;
        if (due) yield await flush();
        if (chunk.length > capacity) break;
      }
    } catch (error) {
      // Bytes received before the connection broke are valid.
      if (gathered > 0 && !(error instanceof DownloaderError)) yield await flush();
      throw error;
    }
    if (gathered > 0) yield await flush();
  }
}

function notTheFile(source: ByteSource, webPage: string): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${source.label} was answered with something else.${webPage} Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
  );
}

function sizeMismatch(source: ByteSource, expected: number, got: string): DownloaderError {
  return new DownloaderError(
    'SIZE_MISMATCH',
    `${source.label} has the wrong size: expected ${expected} bytes, got ${got}. Nothing was published. Check HF_ENDPOINT and any proxy in between, then run: heimdex-downloader download`,
  );
}

function endedEarly(source: ByteSource, position: number, end: number): DownloaderError {
  return new DownloaderError(
    'UNREACHABLE',
    `${source.label} ended at byte ${position} of ${end}. Run the command again: it resumes there.`,
  );
}

function wrongPart(source: ByteSource, expected: number, got: number): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${source.label} sent bytes from position ${got}, expected ${expected}. Check the proxy variables, then run: heimdex-downloader download`,
  );
}
