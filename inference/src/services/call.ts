/** What a method knows of the call it answers, whatever protocol the call came by. */
import type { ErrorCode } from '../errors.js';
import type { Priority } from '../scheduling/fair-queue.js';
import type { WireError } from './errors.js';

/** What the access line and the metrics say of a call besides its status. Filled in by the method as it learns it. */
export interface CallStats {
  /** Texts, images or seconds of audio. */
  items?: number;
  /** Items that failed on their own. */
  itemErrors?: number;
  /** How many of them by reason; absent where none failed. */
  itemErrorReasons?: Readonly<Partial<Record<ErrorCode, number>>>;
  queueMs?: number;
  runMs?: number;
  batchSize?: number;
  /** The defect's id when the answer was INTERNAL. */
  errorId?: string;
  /** What was behind the call's error and those of its items, the first few: a library's own words, which no caller gets. */
  causes?: readonly string[];
}

export interface Call {
  /** Unique within the process; the caller's `x-request-id` when it sent a usable one. */
  readonly id: string;
  /** Aborted when nobody waits any more; its reason is an InferenceError, CANCELLED or DEADLINE_EXCEEDED. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds (performance.now); Infinity: the caller gave none. */
  readonly deadlineAtMs: number;
  readonly priority: Priority;
  readonly stats: CallStats;
  /** An error as it may leave the server; a defect is written to the log with the id it leaves with. */
  wireError(error: unknown): WireError;
}
