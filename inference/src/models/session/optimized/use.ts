/** What the server and a worker exchange about optimized models. Does not import the runtime. */

import { type FoundModel, type OptimizedRecord, optimizedDir, optimizedSources } from '@heimdex/cache';

/** Where a worker finds the optimized models of its graphs. Plain data: sent to the worker as JSON. */
export interface OptimizedOptions {
  /** The directory of all optimized models, absolute. */
  readonly dir: string;
  /** Identity of each graph's bytes, by the absolute path of its file. */
  readonly sources: Readonly<Record<string, string>>;
  /** The lock file's records of the model's optimized models. Unrecorded ones are not used. */
  readonly records: readonly OptimizedRecord[];
  /** Whether to compare the content of an optimized model with its record before use, or only the file sizes. */
  readonly verify: 'full' | 'quick';
  /**
   * Set by `prepare` only: create missing or damaged optimized models for graphs of at least this many bytes, and of compiled models if several
   * workers share them (`shared`).
   */
  readonly make?: { readonly minBytes: number; readonly shared: boolean };
}

/** Where a worker finds the optimized models of its model. */
export function preparedOptions(
  cacheDir: string,
  { found, prepared: records }: { readonly found: FoundModel; readonly prepared: readonly OptimizedRecord[] },
  verify: OptimizedOptions['verify'],
): OptimizedOptions {
  return { dir: optimizedDir(cacheDir), sources: Object.fromEntries(optimizedSources(found)), records, verify };
}

/** How a graph was opened. */
export interface GraphUse {
  /** The file's name. */
  readonly graph: string;
  readonly prepared: boolean;
  /** Bytes of the optimized model just created. */
  readonly madeBytes?: number;
  /** The record of the optimized model just created. */
  readonly made?: OptimizedRecord;
  /** The optimized model could not be created because the volume is read-only. */
  readonly unwritable?: boolean;
  /** Why the plain file was opened. */
  readonly reason?: string;
}

/** Reasons that are not problems. */
export const NOT_OPTIMIZED = 'it is not prepared for this runtime and CPU';
export const TOO_SMALL = 'it is too small to benefit';
export const NOTHING_TO_PACK = 'it runs from its file as it is';
export const NOT_SHARED = 'its only worker packs it as fast; to share it among servers, run prepare --all';
export const NOT_READ_BACK = 'the runtime does not read the packed weights of its blockwise products back';
export const NOT_RECORDED = 'the lock file has no record of it: to create and record it, run heimdex-inference prepare';
export const UNKNOWN_BYTES = 'the hash of its file is not recorded';

/** Whether an optimized model should have been used but could not be. */
export function isUnusable({ reason }: GraphUse): boolean {
  return (
    reason !== undefined &&
    ![NOT_OPTIMIZED, TOO_SMALL, NOTHING_TO_PACK, NOT_SHARED, NOT_READ_BACK, UNKNOWN_BYTES].includes(reason)
  );
}
