/** The messages between the server and a worker. Both have the same build; messages from a worker are validated once. */
import { causeText, ERROR_CODES, type ErrorCode, InferenceError } from '../errors.js';
import type { LoadOptions, ModelFacts, ModelFiles, Outcome } from '../models/model.js';
import type { FamilyName } from '../models/registry.js';
import type { GraphUse } from '../models/session/optimized/use.js';

/** Server to worker. */
export type ToWorker =
  | {
      readonly type: 'load';
      readonly family: FamilyName;
      readonly files: ModelFiles;
      readonly options: LoadOptions;
    }
  | {
      readonly type: 'run';
      readonly id: number;
      readonly items: readonly unknown[];
      /** Whether it runs between the steps of the current run. */
      readonly preempting: boolean;
    }
  | { readonly type: 'cancel'; readonly id: number; readonly index: number }
  /** Whether other runs need the cores too. Sent before or during a run, if it has changed. */
  | { readonly type: 'cores'; readonly shared: boolean }
  | { readonly type: 'ping' };

/** Worker to server. */
export type FromWorker =
  /** A step of loading is done. */
  | { readonly type: 'loading' }
  | {
      readonly type: 'ready';
      readonly facts: ModelFacts;
      /** How each graph was loaded; empty if no optimized models were used. */
      readonly graphs: readonly GraphUse[];
      readonly loadMs: number;
      readonly warmUpMs: number;
    }
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'progress';
      readonly id: number;
      /** Items that finished since the last message. */
      readonly settled: readonly SettledItem[];
    }
  | {
      readonly type: 'result';
      readonly id: number;
      /** Null for items settled earlier. */
      readonly outcomes: readonly (WireOutcome | null)[];
      readonly runMs: number;
    }
  | { readonly type: 'broken'; readonly id: number; readonly message: string }
  | { readonly type: 'pong' };

/** An item that finished before others of its run; `runMs` since the run began. */
export interface SettledItem {
  readonly index: number;
  readonly outcome: WireOutcome;
  readonly runMs: number;
}

/** The wire form of an outcome: an error as its fields. */
export type WireOutcome =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly field?: string | undefined;
      readonly retryAfterMs?: number | undefined;
      /** For the log. */
      readonly cause?: string | undefined;
    };

export function toWireOutcome(outcome: Outcome<unknown>): WireOutcome {
  if (outcome.ok) return outcome;
  const { code, message, field, retryAfterMs, cause } = outcome.error;
  return { ok: false, code, message, field, retryAfterMs, cause: causeText(cause) };
}

export function fromWireOutcome(outcome: WireOutcome): Outcome<unknown> {
  if (outcome.ok) return outcome;
  const { code, message, field, retryAfterMs, cause } = outcome;
  return { ok: false, error: new InferenceError(code, message, { field, retryAfterMs, cause }) };
}

/** Whether a message from a worker has what its type has, as far as the server uses it. */
const CHECKS: { readonly [Type in FromWorker['type']]: (message: Extract<FromWorker, { type: Type }>) => boolean } = {
  loading: () => true,
  ready: ({ facts, graphs, loadMs, warmUpMs }) =>
    [facts?.dimensions, facts?.batching?.maxItems].every(isCount) &&
    Array.isArray(graphs) &&
    graphs.every((graph) => typeof graph?.graph === 'string') &&
    [loadMs, warmUpMs].every(Number.isFinite),
  failed: ({ message }) => typeof message === 'string',
  progress: ({ id, settled }) => isCount(id) && Array.isArray(settled) && settled.every(isSettled),
  result: ({ id, outcomes, runMs }) =>
    isCount(id) && Array.isArray(outcomes) && outcomes.every(isOutcomeOrNull) && Number.isFinite(runMs),
  broken: ({ id, message }) => isCount(id) && typeof message === 'string',
  pong: () => true,
};

/** Validates a message from a worker. Throws for anything else: the worker is broken. */
export function parseFromWorker(value: unknown): FromWorker {
  const type = (value as Partial<FromWorker> | null | undefined)?.type;
  if (type !== undefined && Object.hasOwn(CHECKS, type) && CHECKS[type](value as never)) return value as FromWorker;
  throw new Error(`invalid message from worker: ${JSON.stringify(value)?.slice(0, 200)}`);
}

function isSettled(value: unknown): value is SettledItem {
  const item = value as SettledItem | null;
  return isCount(item?.index) && Number.isFinite(item?.runMs) && isOutcome(item?.outcome);
}

function isOutcomeOrNull(value: unknown): value is WireOutcome | null {
  return value === null || isOutcome(value);
}

function isOutcome(value: unknown): value is WireOutcome {
  const outcome = value as WireOutcome | null | undefined;
  if (outcome?.ok === true) return true;
  if (outcome?.ok !== false || !ERROR_CODES.includes(outcome.code)) return false;
  const { message, field, retryAfterMs, cause } = outcome;
  const texts = [message, field ?? '', cause ?? ''];
  return texts.every((text) => typeof text === 'string') && Number.isFinite(retryAfterMs ?? 0);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
