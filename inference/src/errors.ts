/**
 * The server's own errors. Code below services/ throws these and knows nothing of gRPC or HTTP; services/errors.ts is
 * the one place that maps a code to statuses.
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

/** What an error carries besides its message. */
export interface InferenceErrorOptions {
  /** The request's field at fault, as a path: `images[3].content`. */
  readonly field?: string;
  /** When to come back, for QUEUE_FULL. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** An error whose message is meant for the caller: what was expected, what came, what to do. */
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

/** Longer causes are cut: what a library says of broken content may be of any length. */
const MAX_CAUSE_CHARACTERS = 300;

/** The cause of an error in one line, for the log and never for a caller; undefined where there is none. */
export function causeText(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_CAUSE_CHARACTERS);
}
