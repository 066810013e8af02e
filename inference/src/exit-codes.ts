/** How the program ends. Documented in the README; a test compares. */
export const EXIT_CODES = {
  /** Ended as asked: SIGTERM or SIGINT after draining, --help, --version. */
  ok: 0,
  /** A defect: the log has the stack. */
  unexpected: 1,
  /** A variable or a flag is wrong; the message names each. */
  configuration: 2,
  /** A model's file is missing, damaged or cannot be read; the message says which and what mends it. */
  models: 3,
  /** The address cannot be listened on. */
  address: 4,
  /** A model does not load, or its processes keep dying. */
  worker: 5,
  /** The models do not fit into the memory there is. */
  memory: 6,
  /** What was asked for (--help, --version) could not be written to standard output. */
  output: 7,
  /** A second signal ended the program while it drained. */
  interrupted: 130,
} as const;

export type ExitReason = keyof typeof EXIT_CODES;

/** Ends the program with a message for the person who started it; main.ts alone turns it into an exit code. */
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
