/** Exit statuses. Documented in docs/reference.md; a test compares them. */
export const EXIT_CODES = {
  /** Success: SIGTERM or SIGINT after draining, --help, --version. */
  ok: 0,
  /** A defect: the log has the stack. */
  unexpected: 1,
  /** A variable or an option is invalid; the message names each. */
  configuration: 2,
  /** A model file is missing, damaged or unreadable; the message names it and the remedy. */
  models: 3,
  /** Listening on the address failed. */
  address: 4,
  /** A model failed to load, or its processes keep dying while they start. */
  worker: 5,
  /** The models do not fit into the available memory. */
  memory: 6,
  /** The output of --help or --version could not be written. */
  output: 7,
  /** A second signal ended the program while it drained. */
  interrupted: 130,
} as const;

export type ExitReason = keyof typeof EXIT_CODES;

/** An error that ends the program, with a message for its operator. run.ts maps it to an exit status. */
export class FatalError extends Error {
  override readonly name = 'FatalError';

  constructor(
    readonly reason: ExitReason,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options);
  }
}

/** Of a limit below which not even the modules of this program can be read. */
export const TOO_FEW_FILES = 'too many open files: the limit (ulimit -n) is too low. Set 1024 or more.';
