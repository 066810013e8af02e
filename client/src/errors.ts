import { fromBinary } from '@bufbuild/protobuf';
import { type Any, anyUnpack, durationMs } from '@bufbuild/protobuf/wkt';
import type { ServiceError } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, type Status, StatusSchema } from '@heimdex/gen';
import { insteadOf, MESSAGE_TOO_LARGE } from './message-limit.js';
import { type StatusCode, statusCodeOf } from './status.js';

/** One thing that is wrong with a request: which field, and why. */
export interface FieldViolation {
  /** The field as a path, such as `images[3].content`. */
  readonly field: string;
  readonly description: string;
}

/** What an error carries besides its code and message. */
export interface InferenceClientErrorOptions {
  readonly reason?: string | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly method?: string | undefined;
  readonly address?: string | undefined;
  readonly attempts?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error of this client: for a call as a whole, and for one item of a batch. The message is the server's own, or
 * says what this side ran into and what to do.
 */
export class InferenceClientError extends Error {
  override readonly name = 'InferenceClientError';
  /**
   * The server's reason in UPPER_SNAKE, such as `QUEUE_FULL`. Of this side: `UNREACHABLE` (no connection), `ABORTED` (the
   * caller's signal), `TIMEOUT` (the call's deadline), `CLOSED` (the client was closed), `NO_TOKEN` (the token function failed),
   * `SOURCE_FAILED` (the audio could not be read), `MODEL_MISMATCH` (another model than expected answered),
   * `MALFORMED_ANSWER` (the answer breaks the contract). Of either side: `MESSAGE_TOO_LARGE` (a request beyond
   * `limits.max_message_bytes`; an audio file goes through `client.transcribeStream`).
   */
  readonly reason: string | undefined;
  /** Every field the server complained of. */
  readonly violations: readonly FieldViolation[];
  /** When the server asked to come back, in milliseconds from its answer. */
  readonly retryAfterMs: number | undefined;
  /** The method called, such as `EmbedText`. Absent on an item of a batch. */
  readonly method: string | undefined;
  /** Which server answered, or was tried last. */
  readonly address: string | undefined;
  /** How often the call was sent. 0 on an item of a batch. */
  readonly attempts: number;

  constructor(
    readonly code: StatusCode,
    message: string,
    options: InferenceClientErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.method = options.method;
    this.address = options.address;
    this.attempts = options.attempts ?? 0;
  }

  /** Everything but the cause, the message among it, which JSON.stringify leaves out of an error by itself. */
  toJSON(): Record<string, unknown> {
    const { name, code, reason, message, violations, retryAfterMs, method, address, attempts } = this;
    return { name, code, reason, message, violations, retryAfterMs, method, address, attempts };
  }

  /** The first field the server complained of. */
  get field(): string | undefined {
    return this.violations[0]?.field;
  }
}

/** Where a call stood when it failed. */
export interface CallContext {
  readonly method: string;
  readonly address: string;
  readonly attempts: number;
}

interface Details {
  reason?: string;
  violations?: FieldViolation[];
  retryAfterMs?: number;
}

/** How grpc-js begins to say that there is, or was, no connection. */
const NO_CONNECTION = /^(No connection established|Name resolution failed|Connection dropped|read E|connect E)/;
/** What it says of the last attempt, without its time. */
const LAST_ERROR = /Last error: (?:Error: )?(.*?)(?: \(\d{4}-[^)]*\))?(?:\. Resolution note: .*)?$/s;
/** How grpc-js refuses a message. */
const TOO_LARGE = /larger than max/;
const DETAILS_KEY = 'grpc-status-details-bin';

/** The error of one item of a batch. */
export function errorOfItem(status: Status): InferenceClientError {
  return new InferenceClientError(statusCodeOf(status.code), status.message, readDetails(status.details));
}

/**
 * Whatever a call failed with, as this client's error. Details that cannot be read are left out; an error that is not
 * gRPC's (a message that could not be written, say) is INTERNAL.
 */
export function errorOf(thrown: unknown, context: CallContext): InferenceClientError {
  if (thrown instanceof InferenceClientError) return inContext(thrown, context);
  if (!isServiceError(thrown)) {
    return new InferenceClientError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), {
      ...context,
      cause: thrown,
    });
  }
  const code = statusCodeOf(thrown.code);
  const details = readDetails(detailsIn(thrown));
  const said = details.reason === undefined ? ownWords(code, thrown, context) : undefined;
  const reason = said?.reason ?? details.reason;
  const message = said?.message ?? thrown.details;
  const named = reason !== MESSAGE_TOO_LARGE || message.includes('client.transcribeStream');
  return new InferenceClientError(
    code,
    named ? message : `${message}. ${insteadOf(context.method)}`.replace('..', '.'),
    {
      ...details,
      reason,
      ...context,
      cause: thrown,
    },
  );
}

function inContext(error: InferenceClientError, context: CallContext): InferenceClientError {
  const { code, message, reason, violations, retryAfterMs, cause } = error;
  return new InferenceClientError(code, message, {
    reason,
    violations,
    retryAfterMs,
    ...context,
    address: context.address || error.address,
    cause,
  });
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown;
}

/** What this side has to say of a failure that the server did not explain. */
function ownWords(code: StatusCode, error: ServiceError, context: CallContext) {
  if (code === 'DEADLINE_EXCEEDED') {
    return { reason: 'TIMEOUT', message: `${context.method} got no answer from ${context.address} in time` };
  }
  if (code === 'UNAVAILABLE' && NO_CONNECTION.test(error.details)) {
    const why = LAST_ERROR.exec(error.details)?.[1] ?? error.details;
    return { reason: 'UNREACHABLE', message: `${context.address} cannot be reached: ${why}` };
  }
  // Servers of gRPC say so without details. Of other methods it may be the answer that was too large.
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
      // A detail that does not parse tells nothing; the status and the message stand.
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
