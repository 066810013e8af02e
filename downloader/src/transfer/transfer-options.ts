import type { OpenHasher } from './prefix-hasher.js';
import type { RetryNotice, RetryOptions } from './retry.js';

/** Options of transfers. */
export interface TransferOptions {
  /** Maximum bytes per request. Larger files are fetched in several concurrent ranges. */
  readonly partBytes: number;
  /** Maximum bytes of a file that a kill costs. */
  readonly checkpointBytes: number;
  /** Maximum connections per file. */
  readonly connectionsPerFile: number;
  /** Runs an operation when a connection is free: the limit over all files. */
  readonly connection: <T>(work: () => Promise<T>) => Promise<T>;
  readonly retry: RetryOptions;
  readonly openHasher: OpenHasher;
}

/** Callbacks of a transfer. */
export interface TransferEvents {
  /** Bytes of the file on disk. Decreases if a file is fetched again. */
  onBytes(haveBytes: number): void;
  /** Bytes received over the network, including discarded ones. */
  onFetched(bytes: number): void;
  onRetry(notice: RetryNotice): void;
}
