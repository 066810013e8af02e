/** A model on the volume. Plain data. */

import type { CompiledManifest } from './compiled-types.js';
import type { CacheError } from './errors.js';
import type { ContentHash } from './layout.js';
import type { ConfiguredModel, ModelFile } from './manifest-types.js';

/** One file of a model on the volume. */
export interface FoundFile {
  /** Path in the repository, or a plain file's name. */
  readonly path: string;
  /** For weights, the file's name in the model's family. */
  readonly weights: string | undefined;
  /** Path to open: the snapshot's pointer, or the plain file. */
  readonly absolutePath: string;
  /** Real path of the bytes: all symbolic links resolved, including the second one into Xet's shared store. */
  readonly blobPath: string;
  /** Size on disk. */
  readonly sizeBytes: number;
  /** Expected size from the lock file, the manifest or the repository's tree list, in this order. */
  readonly expectedSizeBytes: number | undefined;
  /** Expected hash from the lock file, the manifest or the blob's name, in this order. */
  readonly hash: ContentHash | undefined;
  /** True if `hash` was computed from the file itself because no other hash is known: it verifies nothing. */
  readonly selfHashed?: boolean;
  /** Blob name in the repository's directory; undefined for a file that is not a pointer to a blob. */
  readonly blobId: string | undefined;
}

/** A complete model. */
export interface FoundModel
  extends Pick<ConfiguredModel, 'role' | 'family' | 'name' | 'variable' | 'entry' | 'id' | 'variant'> {
  /** 40-digit commit; for a plain file its sha256. */
  readonly revision: string;
  /** Absolute directory with the model's files under the names that its code expects. */
  readonly dir: string;
  /** Weights by their names: absolute paths inside the snapshot (or of the plain file). */
  readonly weights: Readonly<Record<string, string>>;
  readonly files: readonly FoundFile[];
  /** The checkpoint files that its weights were compiled from, if they were. */
  readonly compiled?: CompiledManifest;
}

/** Inspection result of one file of a configured model. */
export interface FileInspection {
  readonly file: ModelFile;
  /** The inspected path. */
  readonly absolutePath: string;
  /** Set if the file is present with the right size and identity. */
  readonly found: FoundFile | undefined;
  /** Set if it is missing or wrong. Both undefined: an optional file that the repository does not have. */
  readonly problem: CacheError | undefined;
}

/** Inspection result of one configured model. */
export interface ModelInspection {
  readonly configured: ConfiguredModel;
  /** The repository inspected last, or the first one if none is present. */
  readonly repository: string;
  /** Commit of the inspected snapshot; undefined if unknown. For a plain file its sha256 if it is present. */
  readonly revision: string | undefined;
  readonly files: readonly FileInspection[];
  /** The files that are there, compiled ones too: all of the model if it has no problems. */
  readonly present: readonly FoundFile[];
  /** Empty if the model is usable. */
  readonly problems: readonly CacheError[];
  /** Set if there are no problems. */
  readonly found: FoundModel | undefined;
  /** Whether its compiled form is on the volume; its small files may be missing. */
  readonly compiled?: boolean;
  /** The complete checkpoint of a compiled model, if it is on the volume. */
  readonly checkpoint?: FoundCheckpoint;
}

/** A checkpoint on the volume. */
export interface FoundCheckpoint {
  /** The file to open: the checkpoint, or the index of its shards. */
  readonly main: string;
  readonly files: readonly FoundFile[];
}
