/** Converts what gRPC throws, and the statuses of items, into this client's errors. */
import { fromBinary } from '@bufbuild/protobuf';
import { type Any, anyUnpack, durationMs } from '@bufbuild/protobuf/wkt';
import type { ServiceError } from '@grpc/grpc-js';
import { messageOf } from '@heimdex/common';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, type Status, StatusSchema } from '@heimdex/gen';
import { changedError, createError, type FieldViolation, InferenceClientError } from './errors.js';
import { MESSAGE_TOO_LARGE, tooLargeRemedy } from './message-limit.js';
import { type StatusCode, statusCodeOf } from './status.js';

/** State of a call at the time of its failure. */
export interface CallContext {
  readonly method: string;
  readonly address: string;
  readonly attempts: number;
  /** The message of the attempt before, which failed. */
  readonly failed?: string | undefined;
}

interface Details {
  reason?: string;
  violations?: FieldViolation[];
  retryAfterMs?: number;
}

/** How connection errors of grpc-js begin. */
const NO_CONNECTION = /^(No connection established|Name resolution failed|Connection dropped|read E|connect E)/;
/** The last connection error in that text, without its timestamp. */
const LAST_ERROR = /Last error: (?:Error: )?(.*?)(?: \(\d{4}-[^)]*\))?(?:\. Resolution note: .*)?$/s;
/** A proxy has given up waiting for the server: what grpc-js says of nginx and HAProxy, and what Envoy says, the latter of an idle stream. */
const PROXY_TIMEOUT = /^(Received HTTP status code 504|upstream request timeout|stream timeout)$/;
/** What grpc-js says of an answer that is not gRPC. */
const HTTP_STATUS = /^Received HTTP status code (\d+)/;
/** What grpc-js says of a stream that the other side has cancelled (CANCELLED), reset otherwise, or ended without trailers (INTERNAL). */
const ENDED_THERE =
  /^(Call cancelled|Received RST_STREAM with code \d+( \((Internal server error|Call ended without gRPC status)\))?)$/;
/** What grpc-js says of a stream that the other side has reset with ENHANCE_YOUR_CALM. */
const TOO_MUCH = 'Bandwidth exhausted or memory limit exceeded';
/** What grpc-js makes of its own error for a compression that it does not read: one without a status. */
const COMPRESSED = 'undefined undefined: undefined';
/** How gRPC implementations reject a message that exceeds the size limit. */
const TOO_LARGE = /larger than max/;
const DETAILS_KEY = 'grpc-status-details-bin';

/** Converts the status of one item of a batch. */
export function errorOfItem(status: Status): InferenceClientError {
  return createError(statusCodeOf(status.code), status.message, readDetails(status.details));
}

/**
 * Converts anything a call throws into this client's error. Details that cannot be parsed are dropped. An error that is
 * not gRPC's, such as a serialization failure, becomes INTERNAL.
 */
export function errorOf(thrown: unknown, context: CallContext): InferenceClientError {
  if (thrown instanceof InferenceClientError)
    return changedError(thrown, thrown.message, { ...context, address: context.address || thrown.address });
  if (!isServiceError(thrown)) {
    const message = messageOf(thrown);
    const compressed = `Expected the answer of ${context.address} to be compressed with gzip, deflate or not at all, got another compression`;
    return createError('INTERNAL', message === COMPRESSED ? compressed : message, { ...context, cause: thrown });
  }
  const code = statusCodeOf(thrown.code);
  const details = readDetails(detailsIn(thrown));
  const explained = details.reason === undefined ? explain(code, thrown, context) : undefined;
  const reason = explained?.reason ?? details.reason;
  const message = explained?.message ?? thrown.details;
  const complete = reason !== MESSAGE_TOO_LARGE || message.includes('client.transcribeStream');
  return createError(code, complete ? message : `${message}. ${tooLargeRemedy(context.method)}`.replace('..', '.'), {
    ...details,
    reason,
    ...context,
    cause: thrown,
  });
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown;
}

/** Returns the reason and message for a failure that came without the server's ErrorInfo. */
function explain(code: StatusCode, error: ServiceError, context: CallContext) {
  if (PROXY_TIMEOUT.test(error.details)) {
    const what = `A proxy at ${context.address} ended ${context.method} at its own time limit`;
    return { reason: 'PROXY_TIMEOUT', message: `${what} (${error.details}): raise that limit` };
  }
  if (code === 'DEADLINE_EXCEEDED') {
    const before = context.failed === undefined ? '' : `, after an attempt that failed: ${context.failed}`;
    return { reason: 'TIMEOUT', message: `${context.method} got no response from ${context.address} in time${before}` };
  }
  if (code === 'UNAVAILABLE' && NO_CONNECTION.test(error.details)) {
    const last = LAST_ERROR.exec(error.details)?.[1] ?? error.details;
    const why =
      last === 'Protocol error'
        ? 'what answers does not speak HTTP/2, as gRPC does: another program, or a proxy that has to pass on gRPC'
        : last;
    return { reason: 'UNREACHABLE', message: `${context.address} cannot be reached: ${why}` };
  }
  const httpStatus = HTTP_STATUS.exec(error.details)?.[1];
  if (httpStatus !== undefined) {
    const who = 'another program, or a proxy that refuses the call, cannot reach the server or does not pass on gRPC';
    return {
      reason: undefined,
      message: `Expected gRPC from ${context.address}, got HTTP status ${httpStatus}: ${who}`,
    };
  }
  // What this side cancels has the reason of its scope.
  if (ENDED_THERE.test(error.details)) {
    const who = 'a proxy that limits the time of a call or does not pass on gRPC, or another program';
    return { reason: undefined, message: `${context.address} ended the call without a status: ${who}` };
  }
  if (error.details === TOO_MUCH) {
    const why = 'its headers, the token among them, are too long, or a proxy limits its callers';
    return { reason: undefined, message: `${context.address} refused the call as too much for it: ${why}` };
  }
  // gRPC servers send this without details. For other methods the response may be what was too large.
  if (code === 'RESOURCE_EXHAUSTED' && context.method === 'Transcribe' && TOO_LARGE.test(error.details)) {
    return { reason: MESSAGE_TOO_LARGE, message: error.details };
  }
  return undefined;
}

function detailsIn(error: ServiceError): readonly Any[] {
  const [packed] = error.metadata?.get(DETAILS_KEY) ?? [];
  if (!(packed instanceof Uint8Array)) return [];
  try {
    return fromBinary(StatusSchema, packed).details;
  } catch {
    return [];
  }
}

function readDetails(details: readonly Any[]): Details {
  const found: Details = {};
  for (const detail of details) {
    try {
      readDetail(detail, found);
    } catch {
      // Ignore a detail that does not parse; the status and the message remain.
    }
  }
  return found;
}

function readDetail(detail: Any, found: Details): void {
  const info = anyUnpack(detail, ErrorInfoSchema);
  if (info !== undefined) found.reason = info.reason;
  const badRequest = anyUnpack(detail, BadRequestSchema);
  if (badRequest !== undefined) {
    found.violations = badRequest.fieldViolations.map(({ field, description }) => ({ field, description }));
  }
  const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
  if (delay !== undefined) found.retryAfterMs = Math.max(0, durationMs(delay));
}
