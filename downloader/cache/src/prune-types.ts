/** Steps of a prune. Plain data. */

/** Reason of a removal. */
export type PruneReason =
  | 'repository not configured'
  | 'commit not configured'
  | 'file not configured'
  | 'blob without a file'
  | 'left by a download'
  | 'plain file not configured'
  | 'optimized model of a model that is not configured'
  | 'optimized model that the lock file does not name'
  | 'compiled for a model that is not configured'
  | 'compiled by another version or in another precision'
  | 'compiled from other files'
  | 'left by a compile that was killed';

/** One item to remove: a file, a link or a directory with its content. */
export interface PruneStep {
  readonly path: string;
  readonly kind: 'file' | 'directory';
  readonly reason: PruneReason;
  /** Bytes freed; 0 for links and for bytes that are still referenced. */
  readonly freedBytes: number;
}
