import type { ContentHash, ModelFile, Source, Tree } from '@heimdex/cache';
import type { ModelState } from './cache-state.js';
import type { ByteSource } from './transfer/source.js';

/** The files that a source offers for a model: commit, paths, hashes and byte sources. */
export interface RemoteFiles {
  readonly state: ModelState;
  readonly source: Source['type'];
  /** The repository whose cache directory holds the model. */
  readonly repository: string;
  /** The configured revision: a branch, a tag or a commit. */
  readonly requestedRevision: string;
  /** 40 hex digits; derived from names and hashes if the files come from no hub. Undefined for a plain file. */
  readonly commit: string | undefined;
  /** The repository's tree list; undefined if it comes from no hub. */
  readonly tree: Tree | undefined;
  readonly files: readonly RemoteFile[];
  /** The files to compile, and why they were chosen. */
  readonly checkpoint?: {
    readonly paths: readonly string[];
    readonly why: CheckpointReason;
    /** Whether its weights are in half precision. */
    readonly isHalf: boolean;
  };
  /** Of a name that may mean an export or a checkpoint, the variant that the repository has no weights of. */
  readonly formerVariant?: string;
  /** The compiled form on the volume, of another commit, is of this one too; its checkpoint was removed. */
  readonly isCompiled?: boolean;
}

/** Why a checkpoint was chosen among those with the same weights. */
export type CheckpointReason = 'on the volume' | 'the smallest' | 'the only one';

/** One file of a model as offered by a source. */
export interface RemoteFile {
  readonly file: ModelFile;
  /** Undefined if unknown before the first byte. */
  readonly sizeBytes: number | undefined;
  readonly hash: ContentHash;
  /** In the order of attempts. */
  readonly sources: readonly ByteSource[];
  /** Path below the cache's root, for a file outside of any repository: OpenAI's `whisper/medium.pt`. */
  readonly volumePath?: string;
  /** Whether its bytes on the volume have been verified. */
  readonly isVerified?: boolean;
}
