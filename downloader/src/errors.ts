/**
 * How the downloader ends. Every failure has a stable code, every code one exit status; docs/reference.md lists both tables and
 * a test compares them with these.
 */
export const EXIT_STATUS = {
  /** Everything asked for is done. */
  ok: 0,
  /** A fault of the program itself. */
  unexpected: 1,
  /** A variable, an option or the manifest is wrong: nothing was attempted. */
  usage: 2,
  /** Something is missing: a file on the volume, or a name the hub does not know. */
  missing: 3,
  /** The hub wants a token, or the token lacks a permission. */
  auth: 4,
  /** The hub, or the way to it, did not answer well for as long as the retries lasted. A later run continues. */
  network: 5,
  /** The volume is full, or cannot be written or read. A later run continues. */
  disk: 6,
  /** Bytes, sizes or names are not what they should be. */
  verification: 7,
  /** Nothing was found wrong, but of some files nothing says what their bytes must be. */
  unverified: 8,
  /** Ended by a signal (SIGINT, SIGTERM). A later run continues. */
  interrupted: 130,
} as const;

/** A way to end, by name. */
export type ExitName = keyof typeof EXIT_STATUS;

/** The exit status of every error code. */
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

/** One of the documented codes. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** An error meant for the person who runs the program: what was expected, what came, what to type next. */
export class DownloaderError extends Error {
  override readonly name = 'DownloaderError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }

  /** The status the process ends with when this error reaches the top. */
  get exitStatus(): number {
    return EXIT_STATUS[ERROR_CODES[this.code]];
  }
}

/** The `code` of a Node.js system error (`ENOSPC`, `ECONNRESET`), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of whatever was thrown, for use inside another message. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * One error for several sources that failed one after the other: the only one as it is, or the first one's code with all
 * messages.
 *
 * @param what - What none of them gave.
 */
export function combineFailures(what: string, failures: readonly DownloaderError[]): DownloaderError {
  const [first] = failures;
  if (first === undefined) return new DownloaderError('INTERNAL', `${what} has no source`);
  if (failures.length === 1) return first;
  const lines = failures.map((failure) => `  ${failure.message}`).join('\n');
  return new DownloaderError(first.code, `None of the ${failures.length} sources gave ${what}:\n${lines}`, {
    cause: first,
  });
}
