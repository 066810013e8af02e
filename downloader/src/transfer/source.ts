import type { ByteRange } from './ranges.js';

/** An answer to a request for bytes. */
export interface OpenedBytes {
  /** Position of the first byte. 0 if the whole file was sent although a range was requested. */
  readonly start: number;
  /** Size of the whole file as stated by the sender. */
  readonly totalBytes: number | undefined;
  /** True if the sender supports ranges, so that other ranges can be requested concurrently. */
  readonly ranged: boolean;
  /** A sentence for messages if the answer is a web page, which the file is not unless it has the right size. */
  readonly webPage?: string;
  readonly body: AsyncIterable<Buffer>;
  /** Closes the connection if it is still busy. Idempotent. */
  close(): void;
}

/** A source of one file's bytes. */
export interface ByteSource {
  /** For messages: the address or package, without secrets. */
  readonly label: string;
  /**
   * Requests a range of the file, or all of it (undefined).
   * Throws TransientError if a retry may help; DownloaderError if not.
   */
  open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes>;
  /** Called after wrong bytes: a cache on the way may hold them. */
  bypassCaches?(): void;
}
