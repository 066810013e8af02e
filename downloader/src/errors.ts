/**
 * Exit statuses and error codes. Every failure has a stable code, and every code has one exit status; the
 * tables of docs/reference.md are made from these.
 */
export const EXIT_STATUS = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  missing: 3,
  auth: 4,
  network: 5,
  disk: 6,
  verification: 7,
  unverified: 8,
  interrupted: 130,
} as const;

/** Name of an exit status. */
export type ExitName = keyof typeof EXIT_STATUS;

/** When each comes, in --help and docs/reference.md. */
export const EXIT_DOCS: Readonly<Record<ExitName, string>> = {
  ok: 'success',
  unexpected: 'a bug (the log contains the stack trace), or a model that cannot be compiled or prepared here',
  usage: 'a variable, an option or the manifest is invalid; nothing was attempted',
  missing: 'a file is not on the volume, or the hub does not know the name',
  auth: 'the hub requires a token, or the token lacks a permission',
  network: 'the hub was not available until the retries ended; a later run resumes',
  disk: 'the volume is full, unwritable or unreadable, or the output cannot be written; a later run resumes',
  verification: 'hashes, sizes or names do not match',
  unverified: 'no mismatch was found, but some files have no known hash',
  interrupted: 'ended by a signal; a later run resumes',
};

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
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
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
 * Combines the errors of several sources into one.
 *
 * @param what - What no source provided.
 */
export function combineFailures(what: string, failures: readonly DownloaderError[]): DownloaderError {
  if (failures.length === 0) return new DownloaderError('INTERNAL', `${what} has no source`);
  return joinFailures(`None of the ${failures.length} sources provided ${what}`, failures);
}

/** Returns a single error unchanged; several become one with the first code, the heading and all messages. */
export function joinFailures(heading: string, failures: readonly DownloaderError[]): DownloaderError {
  const [first = new DownloaderError('INTERNAL', heading)] = failures;
  if (failures.length <= 1) return first;
  const lines = failures.map((failure) => `  ${failure.message}`).join('\n');
  return new DownloaderError(first.code, `${heading}:\n${lines}`, { cause: first });
}
