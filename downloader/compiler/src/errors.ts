/** Errors of a checkpoint. The codes are API: the README lists them, and a test compares the two. */
export const COMPILER_ERROR_CODES = [
  /** The file is damaged or not of the expected format. */
  'CHECKPOINT_INVALID',
  /** A pickle that does more than hold tensors. No code in it was run. */
  'CHECKPOINT_REFUSED',
  /** An unsupported file format or number type. */
  'CHECKPOINT_UNSUPPORTED',
  'TENSOR_MISSING',
  'TENSOR_UNEXPECTED',
  'TENSOR_SHAPE',
  /** NaN or infinity among the weights. */
  'TENSOR_NOT_FINITE',
  /** config.json lacks a value, or has an unknown one. */
  'CONFIG_UNSUPPORTED',
] as const;

export type CompilerErrorCode = (typeof COMPILER_ERROR_CODES)[number];

/** An error of a checkpoint: what was expected, what was found, what to do next. */
export class CompilerError extends Error {
  override readonly name = 'CompilerError';

  constructor(
    readonly code: CompilerErrorCode,
    message: string,
  ) {
    super(message);
  }
}
