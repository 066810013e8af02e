/** The context of a call, independent of its protocol. */
import type { ErrorCode } from '../errors.js';
import type { Priority } from '../priority.js';
import type { RunFacts } from '../scheduling/job.js';
import type { WireError } from './errors.js';

/** What decides how long a call waits for decompression and parsing, before it is queued. */
export type Caller = Pick<Call, 'signal' | 'priority'>;

/** Statistics of a call for the access log and the metrics, filled in by the method. */
export interface CallStats {
  /** Texts, images or seconds of audio. */
  items?: number;
  /** Number of items that failed individually. */
  itemErrors?: number;
  /** Their counts by reason; absent if none failed. */
  itemErrorReasons?: Readonly<Partial<Record<ErrorCode, number>>>;
  queueMs?: number;
  runMs?: number;
  batchSize?: number;
  /** Of the items answered so far, by their ids. For traces, not for the log. */
  runs?: Map<number, RunFacts>;
  /** The id of an error in the answer that is logged as a defect. */
  errorId?: string;
  /** The first few causes of the call's and its items' errors, such as library messages. Never sent to a caller. */
  causes?: readonly string[];
}

export interface Call {
  /** Unique within the process; the caller's `x-request-id` when it sent a usable one. */
  readonly id: string;
  /** The caller's host: its address, of IPv6 the first 64 bits. A proxy counts as one. */
  readonly host: string;
  /** Aborted when the caller no longer waits; the reason is an InferenceError, CANCELLED or DEADLINE_EXCEEDED. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds (performance.now); Infinity: no deadline. */
  readonly deadlineAtMs: number;
  readonly priority: Priority;
  readonly stats: CallStats;
  /**
   * Counts bytes of the request that stay in memory after their message was used, until the next call of it or the end of the call.
   * Throws QUEUE_FULL if they do not fit. Absent: nothing is counted.
   */
  retain?(bytes: number): void;
  /** Converts an error to its wire form; an unexpected error is logged with the id that the caller gets. */
  wireError(error: unknown): WireError;
}
