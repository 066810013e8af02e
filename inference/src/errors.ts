/**
 * The server's errors. Code below services/ throws these and knows neither gRPC nor HTTP; only services/errors.ts maps a code
 * to statuses.
 */
export const ERROR_CODES = [
  'INVALID_ARGUMENT',
  'AUDIO_UNREADABLE',
  'AUDIO_TOO_LONG',
  'IMAGE_UNREADABLE',
  'IMAGE_TOO_LARGE',
  'TEXT_TOO_LONG',
  'LANGUAGE_UNSUPPORTED',
  'TIMESTAMPS_UNSUPPORTED',
  'FEATURE_DISABLED',
  'MESSAGE_TOO_LARGE',
  'QUEUE_FULL',
  'STARTING',
  'DRAINING',
  'WORKER_LOST',
  'WORKER_LOST_TWICE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'NOT_FOUND',
  'UNAUTHENTICATED',
  'INTERNAL',
] as const;

/** One of the documented codes. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Optional properties of an InferenceError. */
export interface InferenceErrorOptions {
  /** Path of the invalid field in the request, such as `images[3].content`. */
  readonly field?: string | undefined;
  /** Delay before a retry. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** An error whose message is for the caller: what was expected, what was received, what to do. */
export class InferenceError extends Error {
  override readonly name = 'InferenceError';
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: InferenceErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The error of a call that comes, or is still in progress, while the server drains. */
export function serverDraining(): InferenceError {
  return new InferenceError('DRAINING', 'The server is shutting down; retry on another server.');
}

/** Longer causes are truncated: a library's message about broken content may have any length. */
const MAX_CAUSE_CHARACTERS = 300;

/** Formats the cause of an error as one line, for the log, never for a caller; undefined if there is none. */
export function causeText(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_CAUSE_CHARACTERS);
}
