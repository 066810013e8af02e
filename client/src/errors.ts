import type { StatusCode } from './status.js';

/** One invalid field of a request. */
export interface FieldViolation {
  /** Field path, such as `images[3].content`. */
  readonly field: string;
  readonly description: string;
}

/** Fields of an error besides its code and message. */
export interface InferenceClientErrorOptions {
  readonly reason?: string | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly method?: string | undefined;
  readonly address?: string | undefined;
  readonly attempts?: number | undefined;
  readonly tlsProblem?: TlsProblem | undefined;
  readonly cause?: unknown;
}

/**
 * What is wrong with an encrypted connection: the port speaks TLS and the client does not, or the reverse; the server's
 * certificate is of an unknown authority, of another name, or outside its dates; the server requires a client certificate,
 * or refuses the one that it got.
 */
export type TlsProblem =
  | 'TLS_REQUIRED'
  | 'TLS_UNSUPPORTED'
  | 'CERTIFICATE_UNTRUSTED'
  | 'CERTIFICATE_NAME'
  | 'CERTIFICATE_EXPIRED'
  | 'CLIENT_CERTIFICATE_REQUIRED'
  | 'CLIENT_CERTIFICATE_REFUSED';

/**
 * Any failure of a call, or of one item of a batch. The message is the server's, or describes the client-side failure and
 * its remedy. The frequent failures have subclasses, which {@link createError} picks by reason, else by code.
 */
export class InferenceClientError extends Error {
  override readonly name: string = 'InferenceClientError';
  /**
   * The server's reason in UPPER_SNAKE, such as `QUEUE_FULL`. Set by the client: `UNREACHABLE` (no connection), `ABORTED`
   * (the caller's signal), `TIMEOUT` (the call's deadline), `CLOSED` (the client was closed), `NO_TOKEN` (the token
   * function failed), `SOURCE_FAILED` (the audio could not be read), `MODEL_MISMATCH` (another model than expected),
   * `MALFORMED_ANSWER` (the response violates the contract), `PROXY_TIMEOUT` (a proxy's time limit, never retried). Set by either side: `MESSAGE_TOO_LARGE` (a request larger
   * than `limits.max_message_bytes`; send audio with `client.transcribeStream`).
   */
  readonly reason: string | undefined;
  /** Every invalid field reported by the server. */
  readonly violations: readonly FieldViolation[];
  /** Delay requested by the server before a retry, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The called method, such as `EmbedText`. Absent for an item of a batch. */
  readonly method: string | undefined;
  /** The server that responded, or was tried last. */
  readonly address: string | undefined;
  /** How often the call was sent. 0 for an item of a batch. */
  readonly attempts: number;
  /** With reason `UNREACHABLE`: what is wrong with the encryption or its certificates, if that is why. */
  readonly tlsProblem: TlsProblem | undefined;

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
    this.tlsProblem = options.tlsProblem;
  }

  /** All fields except the cause, including the message, which JSON.stringify omits from errors by default. */
  toJSON(): Record<string, unknown> {
    const { name, code, reason, message, violations, retryAfterMs, method, address, attempts, tlsProblem } = this;
    return { name, code, reason, message, violations, retryAfterMs, method, address, attempts, tlsProblem };
  }

  /** The first invalid field reported by the server. */
  get field(): string | undefined {
    return this.violations[0]?.field;
  }
}

/** An invalid request (code INVALID_ARGUMENT): fix the field in `violations`, do not retry unchanged. */
export class InvalidArgumentError extends InferenceClientError {
  override readonly name = 'InvalidArgumentError';
}

/** The server has too many queued items (reason QUEUE_FULL): retry after `retryAfterMs`, as the client did already. */
export class QueueFullError extends InferenceClientError {
  override readonly name = 'QueueFullError';
}

/** The request exceeds the limit per message (reason MESSAGE_TOO_LARGE): send fewer items, or a stream of audio. */
export class MessageTooLargeError extends InferenceClientError {
  override readonly name = 'MessageTooLargeError';
}

/** The timeout passed, here or on the server (code DEADLINE_EXCEEDED). */
export class DeadlineExceededError extends InferenceClientError {
  override readonly name = 'DeadlineExceededError';
}

/** The server runs without the model or feature that the call needs (reason FEATURE_DISABLED); the message names its variable. */
export class FeatureDisabledError extends InferenceClientError {
  override readonly name = 'FeatureDisabledError';
}

/** The response is by another model than `expectModel` (reason MODEL_MISMATCH). */
export class ModelMismatchError extends InferenceClientError {
  override readonly name = 'ModelMismatchError';
}

/** The token is missing, unknown, or could not be made (code UNAUTHENTICATED). */
export class UnauthenticatedError extends InferenceClientError {
  override readonly name = 'UnauthenticatedError';
}

/** The server is starting, draining, or lost its worker (code UNAVAILABLE). */
export class UnavailableError extends InferenceClientError {
  override readonly name: string = 'UnavailableError';
}

/** No connection to the server (reason UNREACHABLE); `tlsProblem` says whether encryption is why. */
export class UnreachableError extends UnavailableError {
  override readonly name = 'UnreachableError';
}

/** The client was closed, before the call or during it (reason CLOSED). */
export class ClientClosedError extends InferenceClientError {
  override readonly name = 'ClientClosedError';
}

/** The caller's signal fired (reason ABORTED). */
export class CallAbortedError extends InferenceClientError {
  override readonly name = 'CallAbortedError';
}

/** The audio could not be read; `cause` says why (reason SOURCE_FAILED). */
export class SourceFailedError extends InferenceClientError {
  override readonly name = 'SourceFailedError';
}

const BY_REASON: Readonly<Record<string, typeof InferenceClientError>> = {
  QUEUE_FULL: QueueFullError,
  MESSAGE_TOO_LARGE: MessageTooLargeError,
  FEATURE_DISABLED: FeatureDisabledError,
  MODEL_MISMATCH: ModelMismatchError,
  UNREACHABLE: UnreachableError,
  CLOSED: ClientClosedError,
  ABORTED: CallAbortedError,
  SOURCE_FAILED: SourceFailedError,
};

const BY_CODE: Partial<Record<StatusCode, typeof InferenceClientError>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  UNAUTHENTICATED: UnauthenticatedError,
  UNAVAILABLE: UnavailableError,
};

/** Creates the error of the class that its reason or code has, else an InferenceClientError. */
export function createError(
  code: StatusCode,
  message: string,
  options: InferenceClientErrorOptions,
): InferenceClientError {
  const { reason = '' } = options;
  const Class = (Object.hasOwn(BY_REASON, reason) ? BY_REASON[reason] : BY_CODE[code]) ?? InferenceClientError;
  return new Class(code, message, options);
}

/** Returns a copy of an error with another message and other fields. */
export function changedError(
  error: InferenceClientError,
  message: string,
  changes: InferenceClientErrorOptions,
): InferenceClientError {
  return createError(error.code, message, { ...error, cause: error.cause, ...changes });
}

/** The error of a call whose option is invalid, found before anything is sent. `field` is the option's name. */
export function invalidOption(field: string, description: string, method?: string): InferenceClientError {
  return createError('INVALID_ARGUMENT', `${field} ${description}`, {
    reason: 'INVALID_ARGUMENT',
    violations: [{ field, description }],
    ...(method !== undefined && { method }),
  });
}
