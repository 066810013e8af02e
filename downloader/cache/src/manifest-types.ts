/** Types of the parsed model manifest. docs/volume.md documents the file itself. */

/** Role of a configured model. `vad` (voice activity) belongs to speech and is never configured by name. */
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

/** A file that the manifest pins by its hash. */
export interface PinnedFile {
  /** The file's path in the model, as in `files` of the entry. */
  readonly path: string;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  readonly sizeBytes: number | undefined;
}

/** Single files at addresses of any web server. */
export interface UrlSource {
  readonly type: 'url';
  readonly files: readonly UrlSourceFile[];
}

export interface UrlSourceFile extends PinnedFile {
  readonly url: string;
}

/** Files inside a package of the npm registry that the user's npm settings name. */
export interface NpmSource {
  readonly type: 'npm';
  readonly package: string;
  /** An exact version. */
  readonly version: string;
  readonly files: readonly NpmSourceFile[];
}

interface NpmSourceFile extends PinnedFile {
  /** The file's path in the package. */
  readonly file: string;
}

export type Source = HubSource | UrlSource | NpmSource;

/** Location of a model's files on the volume: a hub snapshot, or one plain file in the cache's root. */
export type Layout = 'snapshot' | 'plain';

/** One file of a model. */
export interface ModelFile {
  /** Path in the repository, with `/`. A plain file's name in the cache's root. */
  readonly path: string;
  /** An optional file is fetched if the repository has it. */
  readonly required: boolean;
  /** The path of a file that this one replaces in repositories without it (withStandIns). */
  readonly insteadOf?: string;
  /** For weights, the file's name in the family: `encoder`, `decoder`, `vision`, `text`, `model`. */
  readonly weights?: string | undefined;
  /** Known size, or undefined: the source reports it at the first download. */
  readonly sizeBytes?: number | undefined;
  /** Known hash (64 hexadecimal digits), or undefined. */
  readonly sha256?: string | undefined;
}

/** Variants of the files of one model or of several. */
export interface FileSet {
  /** Whether the weights are compiled from the repository's checkpoint; the variants are then precisions, without weights of their own. */
  readonly compiled: boolean;
  /** Variant name (`q8`, `fp32`) to its files, including the files common to all variants. */
  readonly variants: Readonly<Record<string, readonly ModelFile[]>>;
  readonly defaultVariant: string;
}

/** A model of the manifest. */
export interface ManifestEntry extends FileSet {
  /** Name in the manifest, usually the hub repository. */
  readonly name: string;
  readonly role: Role;
  readonly family: Family;
  /** Other names accepted by ASR_MODEL and similar variables. */
  readonly aliases: readonly string[];
  readonly layout: Layout;
  /** Hub repository that names the model in answers, lists and the cache's directories. */
  readonly id: string;
  /** Directory of the model inside the repository; empty for the repository's root. */
  readonly dir: string;
  /** In the order of attempts. */
  readonly sources: readonly Source[];
  /** The languages it knows, in words: `English`, `99 languages`. */
  readonly languages?: string | undefined;
  /** About what the default variant takes on the volume, where the sizes of its files are not known. */
  readonly sizeBytes?: number | undefined;
  /** About what one worker takes with the default variant, at rest. */
  readonly memoryBytes?: number | undefined;
  readonly licence?: string | undefined;
  readonly note?: string | undefined;
}

/** The parsed manifest. */
export interface Manifest {
  /** In order: of two entries with the same name, the first wins. */
  readonly entries: readonly ManifestEntry[];
  readonly fileSets: ReadonlyMap<string, FileSet>;
}

/** A configured model, resolved to files and sources. Plain data. */
export interface ConfiguredModel extends Pick<ManifestEntry, 'role' | 'family' | 'id' | 'layout' | 'dir' | 'sources'> {
  /** Value of the variable: `medium`, `google/siglip-so400m-patch14-384`. */
  readonly name: string;
  /** Name of the variable: `ASR_MODEL`. */
  readonly variable: string;
  /** Name of the manifest entry. A repository outside the manifest has its own name here. */
  readonly entry: string;
  /** For a repository outside the manifest: the similar known name, as the end of a sentence. */
  readonly suggestion?: string;
  readonly variant: string;
  readonly files: readonly ModelFile[];
  /** Set if its weights are compiled from a checkpoint: `files` then has all other files. */
  readonly compile?: CompileRequest;
  /** Alternative meaning if the repository has no such files: an export may be a checkpoint. */
  readonly otherwise?: ConfiguredModel;
}

/** What checkpoints are compiled to: the variants of a compiled file set. */
export const PRECISIONS = ['int8', 'fp16', 'fp32'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** How a checkpoint is to be compiled. */
export interface CompileRequest {
  readonly precision: Precision;
  /** Checkpoints of the same weights outside of the repository, with paths below the cache's root. */
  readonly checkpoints: readonly UrlSourceFile[];
}
