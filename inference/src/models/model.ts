/**
 * The shape every model family has. The parent process imports a family's spec.ts alone; model.ts, with the runtime, is
 * imported by the worker process that serves it.
 */
import type { InferenceError } from '../errors.js';
import type { GraphUse, OptimizedOptions } from './session/optimized/use.js';

/** A model's files as they lie in the volume, found and checked. Plain data: it crosses to the worker as JSON. */
export interface ModelFiles {
  /** Hub repository, `org/name`. */
  readonly id: string;
  /** 40-digit commit, or a plain file's sha256. */
  readonly revision: string;
  /** Such as `q8` or `fp32`. */
  readonly variant: string;
  /** Absolute path of the snapshot directory, or of the directory a plain file lies in. */
  readonly dir: string;
  /** Absolute paths of the weights, by the names the manifest gives them: `encoder`, `decoder`, `vision`, `text`, `model`, and `vad` beside a speech model. */
  readonly weights: Readonly<Record<string, string>>;
  /** Absolute paths of the files that a graph may name as places of its weights: those that were found. Absent: none. */
  readonly externalFiles?: readonly string[];
}

/** How 8-bit weights are served: as the file has them, or scaled so that no CPU's product overflows (`makeOverflowSafe`). */
export type WeightsForm = 'plain' | 'overflow-safe';

export interface LoadOptions {
  readonly device: 'cpu' | 'cuda';
  /** Threads of one run. Default 1: facts are in the README, one thread a session and a session a core is fastest. */
  readonly threads: number;
  /** Largest image to decode, width times height. */
  readonly maxImagePixels: number;
  /** The form of 8-bit weights; absent: the one that is right for this machine's CPU (`weightsForm`). */
  readonly weights?: WeightsForm;
  /** `ModelFiles.externalFiles`; set by the loader. */
  readonly externalFiles?: readonly string[] | undefined;
  /** Where optimized models of the graphs are; absent: only the plain files are used. */
  readonly prepared?: OptimizedOptions;
  /** Told how each graph was opened, when `prepared` is set. */
  onGraph?(use: GraphUse): void;
  /** Told of each step of loading that is done: a graph was opened, an optimized model saved. */
  onProgress?(): void;
}

/** What a run may ask of the process it runs in. */
export interface RunContext {
  /** One signal an item, in order: aborted when nobody waits for that item any more. */
  readonly signals: readonly AbortSignal[];
  /**
   * Tells that an item is done while others of the run are not: its caller has it with the next breath. `run` gives it
   * as well. Absent: nobody wants to know early.
   */
  settled?(index: number, outcome: Outcome<unknown>): void;
  /**
   * Lets the worker read its messages (a run blocks the event loop, so a cancellation is only seen here) and tells the
   * parent that the run makes progress. Call it between runs of a session, such as after each decoding step. A short item of
   * another caller may be run meanwhile, by a call of `run` inside this one: nothing of a run may lie in the model itself.
   */
  yieldToEventLoop(): Promise<void>;
}

/** What became of one item. An item's error is its own: the others of the batch go on. */
export type Outcome<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly error: InferenceError };

/** What a loaded model says of itself, once. */
export interface ModelFacts {
  /** Length of its vectors, 0 where it gives none. */
  readonly dimensions: number;
  /** Whether several items may share a run; `reason` is shown in GetServerInfo. */
  readonly batching: { readonly shared: boolean; readonly maxItems: number; readonly reason: string };
}

/** A model in memory. Runs are made one after the other, or one inside a breath of another; the worker sees to that. */
export interface LoadedModel<Item, Result> {
  readonly facts: ModelFacts;
  /** A real run on a small built-in input. Throws when the model does not work. */
  warmUp(): Promise<void>;
  /** One outcome an item, in order. Throws only when the model as a whole is broken. */
  run(items: readonly Item[], context: RunContext): Promise<readonly Outcome<Result>[]>;
  /** Frees the sessions. Idempotent. */
  close(): Promise<void>;
}

/** How much work of a family is worth sharing a run, and what that takes. Measured (bench/serving/batches.js). */
export interface BatchSpec {
  /** Cost beyond which sharing gains nothing, for a run of so many threads. */
  maxCost(threads: number): number;
  /** Memory of a run per unit of cost, beside the model; `needBytes` is what a worker needs at least. */
  bytesPerCost(needBytes: number): number;
  /** Part of a padded run that may be padding, 0 to 1: 1 where nothing is padded. */
  readonly maxPadding: number;
}

/** What the parent knows of a family without loading the runtime. Each family's spec.ts exports one. */
export interface FamilySpec<Item> {
  /** The name that `models_loaded` of /health, the log and the metrics show for a model of it, by the model's hub repository. */
  healthName(id: string): string;
  /** What an item costs in the queue, in `costUnit`; a guess from its size is good enough. */
  cost(item: Item): number;
  readonly costUnit: 'tokens' | 'pixels' | 'audio seconds';
  /** What shares a run. */
  readonly batch: BatchSpec;
  /** Items of one kind share a batch. Absent: all are of one kind. */
  kind?(item: Item): string;
  /** Whether an item gains nothing from a batch and runs alone. Absent: none does. */
  alone?(item: Item): boolean;
}
