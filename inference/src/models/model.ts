/**
 * The interface of a model family. The parent process imports only a family's spec.ts. The worker imports model.ts,
 * which includes the runtime.
 */
import type { InferenceError } from '../errors.js';
import type { GraphUse, OptimizedOptions } from './session/optimized/use.js';

/** A model's files on the volume, found and checked. Plain data: sent to the worker as JSON. */
export interface ModelFiles {
  /** Hub repository, `org/name`. */
  readonly id: string;
  /** 40-digit commit, or the sha256 of a plain file. */
  readonly revision: string;
  /** For example `q8` or `fp32`. */
  readonly variant: string;
  /** Absolute path of the snapshot directory, or of the directory of a plain file. */
  readonly dir: string;
  /**
   * Absolute paths of the weights by manifest name: `encoder`, `decoder`, `vision`, `text`, `model`, and `vad` for a
   * speech model.
   */
  readonly weights: Readonly<Record<string, string>>;
  /** Absolute paths of the external weight files that a graph may name. Absent: none. */
  readonly externalFiles?: readonly string[];
}

/**
 * How 8-bit weights are served: unchanged, or scaled so that products cannot overflow on any CPU (`makeOverflowSafe`).
 */
export type WeightsForm = 'plain' | 'overflow-safe';

export interface LoadOptions {
  readonly device: 'cpu' | 'cuda';
  /** Threads per run. */
  readonly threads: number;
  /** Threads of a run while others need the cores too. Default: `threads`. */
  readonly sharedThreads?: number;
  /** Whether others need them now; kept up to date by the worker. Absent: never. */
  readonly cores?: { readonly shared: boolean };
  /** Maximum image size to decode, width times height. */
  readonly maxImagePixels: number;
  /** Form of 8-bit weights. Absent: chosen for this machine's CPU (`weightsForm`). */
  readonly weights?: WeightsForm;
  /** `ModelFiles.externalFiles`; set by the loader. */
  readonly externalFiles?: readonly string[] | undefined;
  /** Where optimized models of the graphs are. Absent: only the plain files are used. */
  readonly prepared?: OptimizedOptions;
  /** Called with how each graph was opened, when `prepared` is set. */
  onGraph?(use: GraphUse): void;
  /** Told of each step of loading that is done: a graph was opened, an optimized model saved. */
  onProgress?(): void;
}

/** Per-run context from the worker process. */
export interface RunContext {
  /** One signal per item, in order: aborted when no caller is waiting for the item. */
  readonly signals: readonly AbortSignal[];
  /**
   * Reports an item that is done before the others of the run, so that its caller gets it at the next yield. `run`
   * returns it too. Absent: early results are not used.
   */
  settled?(index: number, outcome: Outcome<unknown>): void;
  /**
   * Lets the worker read its messages (a run blocks the event loop, so cancellations are only seen here) and reports
   * progress to the parent. Call it between runs of a session, for example after each decoding step. A short item of
   * another caller may run meanwhile through a nested call of `run`, so a model must not hold the state of a run.
   */
  yieldToEventLoop(): Promise<void>;
}

/** The context of one item of a run. */
export interface ItemContext {
  /** As in `RunContext`; throws CANCELLED when no caller is waiting for the item any more. */
  yieldToEventLoop(): Promise<void>;
}

/** The outcome of one item. An item's error does not affect the other items of the batch. */
export type Outcome<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly error: InferenceError };

/** Facts about a loaded model, reported once. */
export interface ModelFacts {
  /** Dimensions of its vectors, 0 if it returns none. */
  readonly dimensions: number;
  /** Whether several items may share a run, and how many: 1 if they may not. `reason` is shown in GetServerInfo. */
  readonly batching: { readonly shared: boolean; readonly maxItems: number; readonly reason: string };
}

/** A loaded model. The worker runs calls one at a time, or nested within a yield. */
export interface LoadedModel<Item, Result> {
  readonly facts: ModelFacts;
  /** Runs the model on a small built-in input, if loading it has not. Throws when the model does not work. */
  warmUp(): Promise<void>;
  /** Returns one outcome per item, in order. Throws only when the model as a whole is broken. */
  run(items: readonly Item[], context: RunContext): Promise<readonly Outcome<Result>[]>;
  /** Frees the sessions. Idempotent. */
  close(): Promise<void>;
}

/** Batch limits of a family and their memory. Measured with bench/serving/batches.js. */
export interface BatchSpec {
  /** Cost above which a larger batch gains nothing, by thread count. */
  maxCost(threads: number): number;
  /** Memory of a run per unit of cost, in addition to the model. `needBytes` is a worker's minimum. */
  bytesPerCost(needBytes: number): number;
  /** Maximum fraction of padding in a run, 0 to 1; 1 where nothing is padded. */
  readonly maxPadding: number;
}

/** What the parent knows of a family without loading the runtime. Exported by each family's spec.ts. */
export interface FamilySpec<Item> {
  /** The model's name in `models_loaded` of /health, the log and the metrics, by hub repository. */
  healthName(id: string): string;
  /** Cost of an item in the queue, in `costUnit`. An estimate from its size is sufficient. */
  cost(item: Item): number;
  readonly costUnit: 'tokens' | 'pixels' | 'audio seconds';
  /** Batching rules. */
  readonly batch: BatchSpec;
  /** Items of the same kind may share a batch. Absent: all items are of one kind. */
  kind?(item: Item): string;
  /** Whether an item gains nothing from batching and runs alone. Absent: none does. */
  alone?(item: Item): boolean;
  /** Whether the time of an item tells how long others of its cost take. Absent: it does. */
  typical?(item: Item): boolean;
}
