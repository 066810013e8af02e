import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { codeOf, messageOf } from '@heimdex/common';
import { type TarEntry, tarEntries } from '../archive/tar-entries.js';
import { DownloaderError } from '../errors.js';
import { isUnreached } from './network-state.js';
import type { NpmSettings } from './npm-settings.js';
import type { ByteRange } from './ranges.js';
import { TransientError } from './retry.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** Errors of npm's cache, such as in a container whose files are read-only. */
const DISK_CODES = new Set(['EACCES', 'EDQUOT', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS']);

/** A file inside a package of the configured registry. */
export interface NpmFileAddress {
  readonly package: string;
  /** An exact version. */
  readonly version: string;
  /** Path in the package. */
  readonly file: string;
}

/** Streams one file from a package's archive. Ranges are not supported: it always starts at byte 0. */
export class NpmFileSource implements ByteSource {
  readonly label: string;
  readonly #address: NpmFileAddress;
  readonly #settings: Promise<NpmSettings>;

  readonly #stallMs: number;

  /** @param stallMs - No byte for this long is a stall. */
  constructor(address: NpmFileAddress, settings: Promise<NpmSettings>, stallMs: number) {
    this.#stallMs = stallMs;
    this.#address = address;
    this.#settings = settings;
    this.label = `npm package ${address.package}@${address.version}, ${address.file}`;
  }

  async open(_range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const { default: pacote } = await import('pacote');
    const settings = await this.#settings;
    const { package: name, version } = this.#address;
    return new Promise((resolve, reject) => {
      const read = async (archive: NodeJS.ReadableStream) => {
        // A settled promise: otherwise pacote would fetch the archive again if a reader stops early.
        await this.#readFile(archive, signal, resolve).catch(reject);
      };
      pacote.tarball
        .stream(`${name}@${version}`, (archive) => read(archive), { ...settings })
        .catch((error: unknown) => reject(this.#registryError(error)));
    });
  }

  /** Passes the file's bytes to the consumer; ends when they are read or cancelled. */
  async #readFile(
    archive: NodeJS.ReadableStream,
    signal: AbortSignal,
    give: (opened: OpenedBytes) => void,
  ): Promise<void> {
    const unpacked = createGunzip();
    archive.on('error', (error: Error) => unpacked.destroy(error));
    archive.pipe(unpacked);
    try {
      for await (const entry of tarEntries(unpacked, signal)) {
        if (withoutRoot(entry.header.name) === this.#address.file && entry.header.type === 'file') {
          await this.#handOver(entry, give, signal);
          return;
        }
        entry.resume();
      }
    } catch (error) {
      signal.throwIfAborted();
      // An error of the archive's stream comes wrapped in one of its entries.
      throw this.#registryError(error instanceof Error ? (error.cause ?? error) : error);
    } finally {
      unpacked.destroy();
      // The rest goes to npm's cache, for the next file of the same package.
      archive.unpipe(unpacked);
      archive.resume();
    }
    throw new DownloaderError(
      'NOT_FOUND',
      `${this.#address.package}@${this.#address.version} has no file ${this.#address.file}. Correct the npm source in the manifest, then run: heimdex-downloader plan`,
    );
  }

  /** Waits until the entry's bytes are read or the consumer is gone. */
  #handOver(entry: TarEntry, give: (opened: OpenedBytes) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const body = Readable.from(this.#watched(entry, signal));
      body.once('close', resolve);
      body.on('error', () => {});
      const close = () => void body.destroy();
      give({ start: 0, totalBytes: entry.header.size, ranged: false, body, close });
    });
  }

  /** Yields the entry's bytes; every wait ends at the stall limit or by the signal. */
  async *#watched(entry: TarEntry, signal: AbortSignal): AsyncGenerator<Buffer> {
    const stall = new AbortController();
    const timer = setTimeout(() => stall.abort(this.#stallError()), this.#stallMs);
    const either = AbortSignal.any([signal, stall.signal]);
    const end = () => entry.destroy(either.reason instanceof Error ? either.reason : null);
    either.addEventListener('abort', end, { once: true });
    try {
      for await (const chunk of entry) {
        yield chunk as Buffer;
        timer.refresh();
      }
    } catch (error) {
      signal.throwIfAborted();
      throw this.#registryError(stall.signal.aborted ? stall.signal.reason : error);
    } finally {
      clearTimeout(timer);
      either.removeEventListener('abort', end);
    }
  }

  #stallError(): TransientError {
    return new TransientError(
      new DownloaderError(
        'STALLED',
        `${this.label}: no byte for ${this.#stallMs / 1000} s. Run the command again; DOWNLOAD_STALL_SECONDS sets the limit.`,
      ),
    );
  }

  #registryError(error: unknown): Error {
    if (error instanceof DownloaderError || error instanceof TransientError) return error;
    const code = codeOf(error);
    const status = statusOf(error);
    const what = `${this.label}: ${messageOf(error)}`;
    if (status === 404 || code === 'ETARGET' || code === 'ENOVERSIONS') {
      return new DownloaderError(
        'NOT_FOUND',
        `${what}. Check name and version in the manifest, then run: heimdex-downloader plan`,
        { cause: error },
      );
    }
    if (status === 401 || status === 403) {
      return new DownloaderError(
        'AUTH_REQUIRED',
        `${what}. Log in to the registry (npm login), then run: heimdex-downloader download`,
        { cause: error },
      );
    }
    if (code !== undefined && DISK_CODES.has(code)) {
      return new DownloaderError(
        'UNREACHABLE',
        `${what}. npm's libraries write to its cache: name a directory for it in npm_config_cache, then run: heimdex-downloader download`,
        { cause: error },
      );
    }
    const final = new DownloaderError(
      'UNREACHABLE',
      `${what}. Check the registry in npm's settings (npm config get registry), then run: heimdex-downloader download`,
      { cause: error },
    );
    return new TransientError(final, undefined, isUnreached(code) ? 'unreached' : undefined);
  }
}

/** Strips the top-level directory of a package's archive, usually `package`. */
function withoutRoot(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}
