/**
 * Exit statuses and error codes. Every failure has a stable code, and every code has one exit status; docs/reference.md lists
 * both tables and a test compares them with these.
 */
export const EXIT_STATUS = {
  /** Success. */
  ok: 0,
  /** A bug in the program. */
  unexpected: 1,
  /** A variable, an option or the manifest is invalid: nothing was attempted. */
  usage: 2,
  /** A file is not on the volume, or the hub does not know a name. */
  missing: 3,
  /** The hub requires a token, or the token lacks a permission. */
  auth: 4,
  /** The hub, or the network on the way to it, was unavailable until the retries ended. A later run resumes. */
  network: 5,
  /** The volume is full, unwritable or unreadable. A later run resumes. */
  disk: 6,
  /** Hashes, sizes or names do not match. */
  verification: 7,
  /** No mismatch was found, but some files have no known hash. */
  unverified: 8,
  /** Ended by a signal (SIGINT, SIGTERM). A later run resumes. */
  interrupted: 130,
} as const;

/** Name of an exit status. */
export type ExitName = keyof typeof EXIT_STATUS;

/** Exit status of every error code. */
export const ERROR_CODES = {
  USAGE: 'usage',
  OFFLINE: 'missing',
  MODEL_INCOMPLETE: 'missing',
  NOT_FOUND: 'missing',
  ARCHIVE_MISSING: 'missing',
  AUTH_REQUIRED: 'auth',
  ACCESS_DENIED: 'auth',
  UNREACHABLE: 'network',
  STALLED: 'network',
  RATE_LIMITED: 'network',
  SERVER_FAILED: 'network',
  ANSWER_INVALID: 'network',
  REDIRECT_REFUSED: 'network',
  DISK_FULL: 'disk',
  DISK_FAILED: 'disk',
  SIZE_MISMATCH: 'verification',
  HASH_MISMATCH: 'verification',
  PATH_REFUSED: 'verification',
  ARCHIVE_INVALID: 'verification',
  CHECKPOINT_INVALID: 'verification',
  COMPILE_FAILED: 'unexpected',
  NOT_VERIFIED: 'unverified',
  INTERRUPTED: 'interrupted',
  PREPARE_FAILED: 'unexpected',
  INTERNAL: 'unexpected',
} as const satisfies Record<string, ExitName>;

/** A documented error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** An error for the user: what was expected, what was found, and which command to run next. */
export class DownloaderError extends Error {
  override readonly name = 'DownloaderError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }

  /** Exit status of the process if this error ends it. */
  get exitStatus(): number {
    return EXIT_STATUS[ERROR_CODES[this.code]];
  }
}

/** A checkpoint was there and is gone when it is to be compiled: another process has compiled from it and removed it. */
export class CheckpointGone extends DownloaderError {
  readonly what: string;

  constructor(model: string) {
    const what = `The checkpoint of ${model} was removed before it could be compiled, as another process with KEEP_CHECKPOINTS=false does`;
    super('MODEL_INCOMPLETE', `${what}. To fetch it again, run: heimdex-downloader download`);
    this.what = what;
  }
}

/**
 * Combines the errors of several sources into one: a single error is returned unchanged; several become one with the first
 * code and all messages.
 *
 * @param what - What no source provided.
 */
export function combineFailures(what: string, failures: readonly DownloaderError[]): DownloaderError {
  const [first] = failures;
  if (first === undefined) return new DownloaderError('INTERNAL', `${what} has no source`);
  if (failures.length === 1) return first;
  const lines = failures.map((failure) => `  ${failure.message}`).join('\n');
  return new DownloaderError(first.code, `None of the ${failures.length} sources provided ${what}:\n${lines}`, {
    cause: first,
  });
}
