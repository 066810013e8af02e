import type { OpenHasher } from './prefix-hasher.js';
import type { RetryNotice, RetryPolicy } from './retry.js';

/** How transfers are made. */
export interface TransferOptions {
  /** The most one request asks for. A larger file is fetched in several parts at once. */
  readonly partBytes: number;
  /** A kill costs at most so many bytes of a file. */
  readonly checkpointBytes: number;
  /** Connections for one file. */
  readonly connectionsPerFile: number;
  /** Runs a part of work when a connection is free: the bound over all files. */
  readonly connection: <T>(work: () => Promise<T>) => Promise<T>;
  readonly retry: RetryPolicy;
  readonly openHasher: OpenHasher;
}

/** Told while a transfer runs. */
export interface TransferEvents {
  /** Bytes of the file that are on disk. Falls when a file is fetched anew. */
  onBytes(haveBytes: number): void;
  /** Bytes that came over the network, whether or not they will be of use. */
  onFetched(bytes: number): void;
  onRetry(notice: RetryNotice): void;
}
