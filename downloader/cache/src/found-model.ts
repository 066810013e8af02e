/** A model as it lies in the volume. Plain data. */

import type { CompiledManifest } from './compiled-types.js';
import type { CacheError } from './errors.js';
import type { ContentHash } from './layout.js';
import type { ConfiguredModel, Family, ModelFile, Role } from './manifest-types.js';

/** One file of a model in the volume. */
export interface FoundFile {
  /** Path in the repository, or a plain file's name. */
  readonly path: string;
  /** The name the family knows it by, for weights. */
  readonly weights: string | undefined;
  /** Where a program opens it: the snapshot's pointer, or the plain file. */
  readonly absolutePath: string;
  /** Where its bytes really lie: all symbolic links followed, also the second one into Xet's shared store. */
  readonly blobPath: string;
  /** On disk. */
  readonly sizeBytes: number;
  /** What it must have by the lock file, the manifest or the repository's list of files, in this order. */
  readonly expectedSizeBytes: number | undefined;
  /** What its bytes must give by the lock file, the manifest or the blob's name, in this order. */
  readonly hash: ContentHash | undefined;
  /** True when `hash` was read from the file's own bytes, because nothing else says it: it names the bytes and proves nothing. */
  readonly selfHashed?: boolean;
  /** The blob's name in the repository's directory; undefined for a file that is no pointer to a blob. */
  readonly blobId: string | undefined;
}

/** A model whose files are all there. */
export interface FoundModel {
  readonly role: Role;
  readonly family: Family;
  /** What the variable said: `medium`. */
  readonly name: string;
  /** The variable that said it: `ASR_MODEL`. */
  readonly variable: string;
  /** The manifest entry's name. */
  readonly entry: string;
  /** Hub repository, `org/name`. */
  readonly id: string;
  /** 40-digit commit; for a plain file its sha256. */
  readonly revision: string;
  readonly variant: string;
  /** Absolute directory in which the model's files lie by the names their code expects. */
  readonly dir: string;
  /** Weights by their names: absolute paths inside the snapshot (or of the plain file). */
  readonly weights: Readonly<Record<string, string>>;
  readonly files: readonly FoundFile[];
  /** What its weights were compiled from, where they were. */
  readonly compiled?: CompiledManifest;
}

/** What became of one file of a configured model. */
export interface FileInspection {
  readonly file: ModelFile;
  /** Where it was looked for. */
  readonly absolutePath: string;
  /** Set when it is there and nothing is wrong with its size and its identity. */
  readonly found: FoundFile | undefined;
  /** Set when it is missing or wrong. Both undefined: an optional file that the repository does not have. */
  readonly problem: CacheError | undefined;
}

/** What became of one configured model. */
export interface ModelInspection {
  readonly configured: ConfiguredModel;
  /** The repository whose directory was looked at last, or the first one when none is there. */
  readonly repository: string;
  /** Commit of the snapshot looked at; undefined when none is known. For a plain file its sha256 when it is there. */
  readonly revision: string | undefined;
  readonly files: readonly FileInspection[];
  /** Empty when the model can be used. */
  readonly problems: readonly CacheError[];
  /** Set when there are no problems. */
  readonly found: FoundModel | undefined;
  /** The checkpoint that a compiled model is made of, where all of it lies in the volume. */
  readonly checkpoint?: FoundCheckpoint;
}

/** A checkpoint in the volume. */
export interface FoundCheckpoint {
  /** The file to open: the checkpoint, or the index of its shards. */
  readonly main: string;
  readonly files: readonly FoundFile[];
}
