/** What can be wrong with a checkpoint. The codes are API: the README lists them, and a test compares the two. */
export const COMPILER_ERROR_CODES = [
  /** The file is not what its name says, or is damaged. */
  'CHECKPOINT_INVALID',
  /** A pickle that would do more than hold tensors. Nothing of it was run. */
  'CHECKPOINT_REFUSED',
  /** A form of file or number that the compiler does not read. */
  'CHECKPOINT_UNSUPPORTED',
  'TENSOR_MISSING',
  'TENSOR_UNEXPECTED',
  'TENSOR_SHAPE',
  /** NaN or infinity among the weights. */
  'TENSOR_NOT_FINITE',
  /** config.json lacks a value, or has one that the compiler does not know. */
  'CONFIG_UNSUPPORTED',
] as const;

export type CompilerErrorCode = (typeof COMPILER_ERROR_CODES)[number];

/** An error of a checkpoint: what was expected, what was found, what to do. */
export class CompilerError extends Error {
  override readonly name = 'CompilerError';

  constructor(
    readonly code: CompilerErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }
}
