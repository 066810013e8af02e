/** Content of compiled.json. Plain data. */

/** One file of the checkpoint that a model was compiled from. */
export interface CompiledSource {
  /** Path in the repository, or below the cache's root for a file outside of any repository (`whisper/medium.pt`). */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** One small file that the compiler read: config.json, a module's config. */
export interface CompiledInput {
  /** Path in the repository. */
  readonly path: string;
  readonly sha256: string;
}

/** What identifies a compiled model. */
export interface CompiledKey {
  readonly compiler: number;
  /** `int8`, `fp32`, `fp16`. */
  readonly precision: string;
  /** Whether 8-bit weights also suit CPUs without VNNI. */
  readonly overflowSafe: boolean;
  /** Sorted by path. */
  readonly sources: readonly CompiledSource[];
  /** Sorted by path. Absent in a compiled.json of earlier versions: what `commit` has. */
  readonly inputs?: readonly CompiledInput[];
}

/** compiled.json. */
export interface CompiledManifest extends CompiledKey {
  readonly repository: string;
  /** The commit whose config.json was read. */
  readonly commit: string;
  /** `whisper`, `siglip`, `bert`, `xlm-roberta`, `roberta`, `camembert`, `distilbert`, `mpnet`. */
  readonly modelType: string;
  readonly graphs: readonly CompiledGraphRecord[];
}

export interface CompiledGraphRecord {
  /** Name of the graph in the model's family: `encoder`, `vision`, `model`. */
  readonly role: string;
  /** Minimum cosine to float32 in the self-check; undefined in float32. */
  readonly cosine: number | undefined;
  /** The form of each kind of matrix product. */
  readonly recipe: Readonly<Record<string, string>>;
  /** The graph first, then its weights. */
  readonly files: readonly { readonly name: string; readonly sizeBytes: number; readonly sha256: string }[];
}
