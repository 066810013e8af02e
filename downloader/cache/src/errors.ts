/**
 * What can be wrong with a models volume or with the words that describe it. The codes are API: the README of this
 * package lists them, and a test compares the two.
 */
export const CACHE_ERROR_CODES = [
  'ENVIRONMENT_INVALID',
  'MANIFEST_INVALID',
  'MODEL_UNKNOWN',
  'LOCK_INVALID',
  'PATH_UNSAFE',
  'CACHE_MISSING',
  'CACHE_UNREADABLE',
  'MODEL_MISSING',
  'MODEL_NOT_COMPILED',
  'FILE_MISSING',
  'FILE_EMPTY',
  'FILE_UNREADABLE',
  'FILE_SIZE_WRONG',
  'FILE_HASH_WRONG',
] as const;

/** One of the documented codes. */
export type CacheErrorCode = (typeof CACHE_ERROR_CODES)[number];

/** What an error is about, for logs and for programs; the message says the same in words. */
export interface CacheErrorDetails {
  /** Role of the model at fault: `speech`, `vision`, `text`, `faces`, `vad`. */
  readonly role?: string;
  /** Hub repository of the model at fault. */
  readonly model?: string;
  /** The file at fault, as the repository names it. */
  readonly file?: string;
  /** The path that was looked at. */
  readonly path?: string;
  /** The environment variable to change. */
  readonly variable?: string;
  /** The command that mends it. */
  readonly command?: string;
  /** Every single problem, where one error stands for several. */
  readonly problems?: readonly string[];
  readonly cause?: unknown;
}

/** An error of the volume, its manifest, its lock file or the environment that names them. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
  readonly role: string | undefined;
  readonly model: string | undefined;
  readonly file: string | undefined;
  readonly path: string | undefined;
  readonly variable: string | undefined;
  readonly command: string | undefined;
  readonly problems: readonly string[];

  /** @param message What was expected, what was found, what to do next. */
  constructor(
    readonly code: CacheErrorCode,
    message: string,
    details: CacheErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.role = details.role;
    this.model = details.model;
    this.file = details.file;
    this.path = details.path;
    this.variable = details.variable;
    this.command = details.command;
    this.problems = details.problems ?? [];
  }
}
