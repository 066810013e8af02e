/**
 * Errors of a models volume and its configuration. The codes are API: docs/volume.md lists them, and a test compares
 * the two.
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

/** A documented error code. */
export type CacheErrorCode = (typeof CACHE_ERROR_CODES)[number];

/** Structured details of an error, for logs and programs; the message contains the same. */
export interface CacheErrorDetails {
  /** Role of the model at fault: `speech`, `vision`, `text`, `faces`, `vad`. */
  readonly role?: string | undefined;
  /** Hub repository of the model at fault. */
  readonly model?: string | undefined;
  /** Path of the file at fault in its repository. */
  readonly file?: string;
  /** The inspected path. */
  readonly path?: string | undefined;
  /** The environment variable to change. */
  readonly variable?: string | undefined;
  /** The command that fixes it. */
  readonly command?: string | undefined;
  /** The individual problems if one error combines several. */
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
    super(message, { cause: details.cause });
    this.role = details.role;
    this.model = details.model;
    this.file = details.file;
    this.path = details.path;
    this.variable = details.variable;
    this.command = details.command;
    this.problems = details.problems ?? [];
  }
}
