/** Maps the error codes of errors.ts to gRPC statuses, HTTP statuses and google.rpc details. The only place that does. */
import { randomUUID } from 'node:crypto';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, type Status, StatusSchema } from '@heimdex/gen';
import { causeText, ERROR_CODES, type ErrorCode, InferenceError } from '../errors.js';

/** The domain of every google.rpc.ErrorInfo the server sends. */
const ERROR_DOMAIN = 'heimdex.inference.v1';

/** The statuses that the server sends, by gRPC's name: gRPC's code, and HTTP's as the Connect protocol defines it. */
export const STATUSES = {
  CANCELLED: { grpcCode: 1, httpStatus: 499 },
  INVALID_ARGUMENT: { grpcCode: 3, httpStatus: 400 },
  DEADLINE_EXCEEDED: { grpcCode: 4, httpStatus: 504 },
  NOT_FOUND: { grpcCode: 5, httpStatus: 404 },
  RESOURCE_EXHAUSTED: { grpcCode: 8, httpStatus: 429 },
  FAILED_PRECONDITION: { grpcCode: 9, httpStatus: 400 },
  UNIMPLEMENTED: { grpcCode: 12, httpStatus: 501 },
  INTERNAL: { grpcCode: 13, httpStatus: 500 },
  UNAVAILABLE: { grpcCode: 14, httpStatus: 503 },
  UNAUTHENTICATED: { grpcCode: 16, httpStatus: 401 },
} as const;
export type GrpcStatusName = keyof typeof STATUSES;

/** The status of each error code and the advice for its caller. The tables of docs/reference.md are generated from it. */
export const ERROR_TABLE = {
  INVALID_ARGUMENT: {
    status: 'INVALID_ARGUMENT',
    advice: 'Fix the field named in BadRequest; do not retry unchanged.',
  },
  AUDIO_UNREADABLE: { status: 'INVALID_ARGUMENT', advice: 'Send a complete file in one of audio_formats.' },
  AUDIO_TOO_LONG: {
    status: 'INVALID_ARGUMENT',
    advice: 'Split the audio into files of at most limits.max_audio_seconds.',
  },
  IMAGE_UNREADABLE: { status: 'INVALID_ARGUMENT', advice: 'Send a complete file in one of image_formats.' },
  IMAGE_TOO_LARGE: { status: 'INVALID_ARGUMENT', advice: 'Downscale the image to at most limits.max_image_pixels.' },
  TEXT_TOO_LONG: { status: 'INVALID_ARGUMENT', advice: 'Shorten the text, or keep truncate enabled.' },
  LANGUAGE_UNSUPPORTED: {
    status: 'INVALID_ARGUMENT',
    advice: 'Use a language listed in the message, or none to detect it.',
  },
  TIMESTAMPS_UNSUPPORTED: {
    status: 'FAILED_PRECONDITION',
    advice: 'Request SEGMENT timestamps, or configure a model with alignment heads.',
  },
  FEATURE_DISABLED: {
    status: 'UNIMPLEMENTED',
    advice: 'Set the variable named in the message and restart the server.',
  },
  MESSAGE_TOO_LARGE: {
    status: 'RESOURCE_EXHAUSTED',
    advice: 'Send at most limits.max_message_bytes per call; use TranscribeStream for long audio.',
  },
  QUEUE_FULL: { status: 'RESOURCE_EXHAUSTED', advice: 'Retry after RetryInfo.retry_delay.' },
  STARTING: { status: 'UNAVAILABLE', advice: 'Retry when health reports SERVING.' },
  DRAINING: { status: 'UNAVAILABLE', advice: 'Retry on another server.' },
  WORKER_LOST: { status: 'UNAVAILABLE', advice: 'Retry.' },
  WORKER_LOST_TWICE: {
    status: 'UNAVAILABLE',
    advice: 'Two worker processes died on this item; do not retry automatically.',
  },
  DEADLINE_EXCEEDED: { status: 'DEADLINE_EXCEEDED', advice: 'Set a longer deadline, or send fewer items per call.' },
  CANCELLED: { status: 'CANCELLED', advice: 'None: the caller cancelled.' },
  NOT_FOUND: { status: 'NOT_FOUND', advice: 'Use a service name returned by Health.List.' },
  UNAUTHENTICATED: {
    status: 'UNAUTHENTICATED',
    advice: 'Send `authorization: Bearer <token>` with a token of the server.',
  },
  INTERNAL: { status: 'INTERNAL', advice: 'Report it with the id in the message; the server log has the details.' },
} as const satisfies Record<ErrorCode, { readonly status: GrpcStatusName; readonly advice: string }>;

/** All detail types that the server sends. JSON and reflection look types up by name and need this list. */
export const ERROR_DETAIL_TYPES = [ErrorInfoSchema, BadRequestSchema, RetryInfoSchema] as const;
type DetailType = (typeof ERROR_DETAIL_TYPES)[number];

/** A google.rpc detail with its descriptor, for all protocols. */
export interface ErrorDetail {
  readonly desc: DescMessage;
  readonly value: MessageInitShape<DescMessage>;
}

/** An error as it leaves the server. */
export interface WireError {
  readonly reason: ErrorCode;
  readonly status: GrpcStatusName;
  readonly grpcCode: number;
  readonly httpStatus: number;
  readonly message: string;
  readonly details: readonly ErrorDetail[];
  /** When to retry, for HTTP's header. The details have it as RetryInfo. */
  readonly retryAfterMs: number | undefined;
  /** For an INTERNAL error: the id in the message and the log. */
  readonly errorId: string | undefined;
  /** The cause, only for the log; undefined if there is none, and for INTERNAL errors, which are logged in full. */
  readonly cause: string | undefined;
}

/** Longer messages are truncated: they are sent in headers, which clients limit to 8 KiB. */
const MAX_MESSAGE_CHARACTERS = 1000;

/**
 * Converts any thrown value to its wire form. A value that is not an InferenceError is a defect: it becomes INTERNAL with an
 * id and without its text.
 */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof InferenceError) || error.code === 'INTERNAL') {
    const errorId = randomUUID();
    return wire('INTERNAL', `Internal server error. The server log has the details under id ${errorId}.`, {}, errorId);
  }
  const { code, message, field, retryAfterMs, cause } = error;
  return { ...wire(code, message, { field, retryAfterMs }), cause: causeText(cause) };
}

/** The same error with another status, where a protocol has one of its own for it. */
export function withStatus(error: WireError, status: GrpcStatusName): WireError {
  return { ...error, status, ...STATUSES[status] };
}

interface Extras {
  readonly field?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

function wire(reason: ErrorCode, text: string, { field, retryAfterMs }: Extras, errorId?: string): WireError {
  const { status } = ERROR_TABLE[reason];
  const message = clean(text);
  const details: ErrorDetail[] = [detail(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN })];
  if (field !== undefined) {
    const fieldViolations = [{ field: clean(field), description: message, reason }];
    details.push(detail(BadRequestSchema, { fieldViolations }));
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(Math.max(1, Math.ceil(retryAfterMs)));
    details.push(detail(RetryInfoSchema, { retryDelay }));
  }
  return { reason, status, ...STATUSES[status], message, details, retryAfterMs, errorId, cause: undefined };
}

function detail<Desc extends DetailType>(desc: Desc, value: MessageInitShape<Desc>): ErrorDetail {
  return { desc, value: value as MessageInitShape<DescMessage> };
}

/** Returns well-formed Unicode (header encoding throws on a lone surrogate) of bounded length. */
function clean(text: string): string {
  const cut = text.length > MAX_MESSAGE_CHARACTERS ? `${text.slice(0, MAX_MESSAGE_CHARACTERS)}...` : text;
  return cut.toWellFormed();
}

/** Converts a wire error to google.rpc.Status, for an item of a batch and for gRPC's status details. */
export function toStatus(error: WireError): Status {
  return create(StatusSchema, {
    code: error.grpcCode,
    message: error.message,
    details: error.details.map(({ desc, value }) => anyPack(desc, create(desc, value))),
  });
}

/** Converts an item's google.rpc.Status back to its error, for a protocol without errors of single items. */
export function fromStatus({ details, message }: Status, field: string): InferenceError {
  const unpacked = <Desc extends DescMessage>(desc: Desc) =>
    details.map((any) => anyUnpack(any, desc)).find((one) => one !== undefined);
  const code = ERROR_CODES.find((one) => one === unpacked(ErrorInfoSchema)?.reason) ?? 'INTERNAL';
  const delay = unpacked(RetryInfoSchema)?.retryDelay;
  return new InferenceError(code, message, {
    field,
    ...(delay === undefined ? {} : { retryAfterMs: durationMs(delay) }),
  });
}
