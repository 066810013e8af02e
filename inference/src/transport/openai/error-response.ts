/** An error in OpenAI's form. Statuses come from the table of error codes; what OpenAI's clients expect otherwise is here. */
import { type ErrorCode, InferenceError } from '../../errors.js';
import type { WireError } from '../../services/errors.js';
import { retryAfter } from '../calls/retry-after.js';
import { UnsupportedEncoding } from './assert-body.js';

/** Where OpenAI's status or code differs from Connect's status and the reason in lower case. */
const DIFFERENCES: Readonly<Partial<Record<ErrorCode, { readonly status?: number; readonly code?: string }>>> = {
  MESSAGE_TOO_LARGE: { status: 413 },
  FEATURE_DISABLED: { status: 404, code: 'model_not_found' },
  NOT_FOUND: { code: 'model_not_found' },
  UNAUTHENTICATED: { code: 'invalid_api_key' },
  QUEUE_FULL: { code: 'rate_limit_exceeded' },
};

/** The contract's fields by the parameters they were made from. */
const PARAMETERS: ReadonlyMap<string, string> = new Map([
  ['texts', 'input'],
  ['images', 'input'],
  ['audio.content', 'file'],
  ['audio', 'file'],
  ['options.language', 'language'],
  ['options.task', 'model'],
  ['options.timestamps', 'timestamp_granularities'],
  ['options.initial_prompt', 'prompt'],
  ['options.temperatures', 'temperature'],
]);

export function toOpenAiError(wire: WireError, error: unknown) {
  const status = statusOf(wire, error);
  const field = error instanceof InferenceError ? error.field : undefined;
  const param = field === undefined ? null : (PARAMETERS.get(field.replace(/\[\d+\]$/, '')) ?? field);
  return {
    error: {
      message: wire.message.startsWith(`${field} `) ? `${param}${wire.message.slice(field?.length)}` : wire.message,
      type: status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error',
      /** The parameter at fault. */
      param,
      code: DIFFERENCES[wire.reason]?.code ?? wire.reason.toLowerCase(),
    },
  };
}

export function statusOf({ reason, httpStatus }: WireError, error: unknown): number {
  return error instanceof UnsupportedEncoding ? 415 : (DIFFERENCES[reason]?.status ?? httpStatus);
}

/**
 * When to come back, as HTTP says it and as OpenAI's clients read it first; or that they are not to: by themselves they send again whatever
 * was answered with 429, or 500 and above.
 */
export function retryHeaders(wire: WireError): Readonly<Record<string, string>> {
  const { retryAfterMs, status, reason } = wire;
  if (retryAfterMs !== undefined) return { ...retryAfter(wire), 'retry-after-ms': String(Math.ceil(retryAfterMs)) };
  return status === 'UNAVAILABLE' && reason !== 'WORKER_LOST_TWICE' ? {} : { 'x-should-retry': 'false' };
}
