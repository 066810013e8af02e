/** What the server and a worker say to each other of optimized models. No runtime in here. */

import type { OptimizedRecord } from '@heimdex/cache';

/** Where a worker finds optimized models of its model's graphs. Plain data: it crosses to the worker as JSON. */
export interface OptimizedOptions {
  /** The directory of all optimized models, absolute. */
  readonly dir: string;
  /** What identifies each graph's bytes, by the absolute path of its file. */
  readonly sources: Readonly<Record<string, string>>;
  /** The lock file's records of the model's forms: what is not recorded is not used. */
  readonly records: readonly OptimizedRecord[];
  /** Whether a form's bytes are compared with its record before it is used, or only its files' sizes. */
  readonly verify: 'full' | 'quick';
  /** Set by `prepare` alone: forms that are missing or damaged are made, of graphs with at least so many bytes. */
  readonly make?: { readonly minBytes: number };
}

/** How a graph was opened. */
export interface GraphUse {
  /** The file's name. */
  readonly graph: string;
  readonly prepared: boolean;
  /** Bytes of the form that was made just now. */
  readonly madeBytes?: number;
  /** What is to be recorded of the form that was made just now. */
  readonly made?: OptimizedRecord;
  /** The form could not be made because the volume cannot be written. */
  readonly unwritable?: boolean;
  /** Why it was opened from its plain file. */
  readonly reason?: string;
}

/** Reasons with which nothing is wrong. */
export const NOT_OPTIMIZED = 'it is not prepared for this runtime and CPU';
export const TOO_SMALL = 'it is small, and loads as fast as it is';
export const NOT_RECORDED =
  'the lock file has no record of its form: to make it anew and record it, run heimdex-inference prepare';
export const UNKNOWN_BYTES = 'nothing says the hash of its bytes';

/** Whether a graph should have been opened from its optimized model and could not be. */
export function isUnusable({ reason }: GraphUse): boolean {
  return reason !== undefined && ![NOT_OPTIMIZED, TOO_SMALL, UNKNOWN_BYTES].includes(reason);
}
