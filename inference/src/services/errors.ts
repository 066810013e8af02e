/** The one place that knows statuses: a code of errors.ts becomes a gRPC status, an HTTP status and the details of both. */
import { randomUUID } from 'node:crypto';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { anyPack, DurationSchema } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, type Status, StatusSchema } from '@heimdex/gen';
import { causeText, type ErrorCode, InferenceError } from '../errors.js';

/** The domain of every google.rpc.ErrorInfo the server sends. */
export const ERROR_DOMAIN = 'heimdex.inference.v1';

/** gRPC's status codes by name, as far as the server sends them. */
export const GRPC_STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatusName = keyof typeof GRPC_STATUS;

/** HTTP status of a Connect answer by gRPC status, as the Connect protocol fixes it. */
export const HTTP_STATUS = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  UNAUTHENTICATED: 401,
} as const satisfies Record<GrpcStatusName, number>;

/** What every error code is on the wire, and what its caller should do. The README's table is compared with this one. */
export const ERROR_TABLE = {
  INVALID_ARGUMENT: {
    status: 'INVALID_ARGUMENT',
    advice: 'Mend the field that BadRequest names; do not send it again as it is.',
  },
  AUDIO_UNREADABLE: { status: 'INVALID_ARGUMENT', advice: 'Send a format of audio_formats, whole and not empty.' },
  AUDIO_TOO_LONG: { status: 'INVALID_ARGUMENT', advice: 'Cut the audio at limits.max_audio_seconds.' },
  IMAGE_UNREADABLE: { status: 'INVALID_ARGUMENT', advice: 'Send a format of image_formats, whole and not empty.' },
  IMAGE_TOO_LARGE: { status: 'INVALID_ARGUMENT', advice: 'Scale the image below limits.max_image_pixels.' },
  TEXT_TOO_LONG: { status: 'INVALID_ARGUMENT', advice: 'Shorten the text, or leave truncate at true.' },
  LANGUAGE_UNSUPPORTED: {
    status: 'INVALID_ARGUMENT',
    advice: 'Use a language that the message lists, or none to detect it.',
  },
  TIMESTAMPS_UNSUPPORTED: {
    status: 'FAILED_PRECONDITION',
    advice: 'Ask for SEGMENT, or configure a model with alignment heads.',
  },
  FEATURE_DISABLED: {
    status: 'UNIMPLEMENTED',
    advice: 'Set the variable that the message names and start the server again.',
  },
  MESSAGE_TOO_LARGE: {
    status: 'RESOURCE_EXHAUSTED',
    advice: 'Send less a call, within limits.max_message_bytes; a long audio file goes through TranscribeStream.',
  },
  QUEUE_FULL: { status: 'RESOURCE_EXHAUSTED', advice: 'Come back after RetryInfo.retry_delay.' },
  STARTING: { status: 'UNAVAILABLE', advice: 'Try again when health says SERVING.' },
  DRAINING: { status: 'UNAVAILABLE', advice: 'Try again elsewhere.' },
  WORKER_LOST: { status: 'UNAVAILABLE', advice: 'Try again.' },
  WORKER_LOST_TWICE: {
    status: 'UNAVAILABLE',
    advice: 'Two processes were lost over it: ask a person before it is sent again.',
  },
  DEADLINE_EXCEEDED: { status: 'DEADLINE_EXCEEDED', advice: 'Give more time, or send less at once.' },
  CANCELLED: { status: 'CANCELLED', advice: 'The caller gave up.' },
  NOT_FOUND: { status: 'NOT_FOUND', advice: 'Ask for a name that Health.List gives.' },
  UNAUTHENTICATED: {
    status: 'UNAUTHENTICATED',
    advice: 'Send `authorization: Bearer <token>` with a token of the server.',
  },
  INTERNAL: { status: 'INTERNAL', advice: 'Report it with the id in the message; the log has the rest.' },
} as const satisfies Record<ErrorCode, { readonly status: GrpcStatusName; readonly advice: string }>;

/** Every type of detail that the server sends. JSON and reflection look types up by name, so both are given this list. */
export const ERROR_DETAIL_TYPES = [ErrorInfoSchema, BadRequestSchema, RetryInfoSchema] as const;
type DetailType = (typeof ERROR_DETAIL_TYPES)[number];

/** One google.rpc detail with its descriptor, for either protocol. */
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
  /** Of a defect: the id that the message and the log share. */
  readonly errorId: string | undefined;
  /** What was behind it, for the log alone; undefined where nothing was, and of a defect, which is logged whole. */
  readonly cause: string | undefined;
}

/** Longer messages are cut: details travel in headers, and clients bound those at 8 KiB. */
const MAX_MESSAGE_CHARACTERS = 1000;

/**
 * Any thrown value as it leaves the server. What is no InferenceError is a defect: it leaves as INTERNAL with an id and
 * none of its own text.
 */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof InferenceError) || error.code === 'INTERNAL') {
    const errorId = randomUUID();
    return wire(
      'INTERNAL',
      `Something is wrong in the server. Its log has the reason under id ${errorId}.`,
      {},
      errorId,
    );
  }
  const { code, message, field, retryAfterMs, cause } = error;
  return { ...wire(code, message, { field, retryAfterMs }), cause: causeText(cause) };
}

/** The same error with another status, where a protocol has one of its own for it. */
export function withStatus(error: WireError, status: GrpcStatusName): WireError {
  return { ...error, status, grpcCode: GRPC_STATUS[status], httpStatus: HTTP_STATUS[status] };
}

interface Extras {
  readonly field?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

function wire(reason: ErrorCode, text: string, extras: Extras, errorId?: string): WireError {
  const { status } = ERROR_TABLE[reason];
  const message = clean(text);
  const details: ErrorDetail[] = [detail(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN })];
  if (extras.field !== undefined) {
    const fieldViolations = [{ field: clean(extras.field), description: message, reason }];
    details.push(detail(BadRequestSchema, { fieldViolations }));
  }
  if (extras.retryAfterMs !== undefined) {
    details.push(detail(RetryInfoSchema, { retryDelay: toDuration(extras.retryAfterMs) }));
  }
  const grpcCode = GRPC_STATUS[status];
  return { reason, status, grpcCode, httpStatus: HTTP_STATUS[status], message, details, errorId, cause: undefined };
}

function detail<Desc extends DetailType>(desc: Desc, value: MessageInitShape<Desc>): ErrorDetail {
  return { desc, value: value as MessageInitShape<DescMessage> };
}

function toDuration(ms: number) {
  const whole = Math.max(1, Math.ceil(ms));
  return create(DurationSchema, { seconds: BigInt(Math.floor(whole / 1000)), nanos: (whole % 1000) * 1_000_000 });
}

/** Well-formed Unicode (a lone surrogate makes header encoding throw) of bounded length. */
function clean(text: string): string {
  const cut = text.length > MAX_MESSAGE_CHARACTERS ? `${text.slice(0, MAX_MESSAGE_CHARACTERS)}...` : text;
  return cut.replace(/\p{Surrogate}/gu, '\uFFFD');
}

/** A wire error as google.rpc.Status: for one item of a batch, and for gRPC's status details. */
export function toStatus(error: WireError): Status {
  return create(StatusSchema, {
    code: error.grpcCode,
    message: error.message,
    details: error.details.map(({ desc, value }) => anyPack(desc, create(desc, value))),
  });
}
