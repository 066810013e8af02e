import type { ByteRange } from './ranges.js';

/** An answer to a request for bytes. */
export interface OpenedBytes {
  /** The position of the first byte that comes. 0 when the whole file was sent although a part was asked for. */
  readonly start: number;
  /** The size of the whole file as the sender states it, where it does. */
  readonly totalBytes: number | undefined;
  /** True when the sender obeyed the range, so that other parts can be asked for at the same time. */
  readonly ranged: boolean;
  readonly body: AsyncIterable<Buffer>;
  /** Ends the connection if it is still busy. Idempotent. */
  close(): void;
}

/** Where the bytes of one file come from. */
export interface ByteSource {
  /** For messages: the address or package, without secrets. */
  readonly label: string;
  /**
   * Asks for a part of the file, or for all of it (undefined).
   *
   * @throws TransientError when trying again may help; DownloaderError when it will not.
   */
  open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes>;
}
