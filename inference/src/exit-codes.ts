/** Exit statuses. */
export const EXIT_CODES = {
  ok: 0,
  unexpected: 1,
  configuration: 2,
  models: 3,
  address: 4,
  worker: 5,
  memory: 6,
  output: 7,
  interrupted: 130,
} as const;

export type ExitReason = keyof typeof EXIT_CODES;

/** When each comes, in --help and docs/reference.md. */
export const EXIT_DOCS: Readonly<Record<ExitReason, string>> = {
  ok: 'success: SIGTERM or SIGINT after draining, `--help`, `--version`',
  unexpected: 'a defect; the log has the stack',
  configuration: 'a variable or an option is invalid; all of them are named at once',
  models:
    'a model file is missing, damaged or unreadable: run `heimdex-downloader download --check`; `prepare`: the volume cannot be written',
  address: 'listening on HOST and PORT failed',
  worker: 'a model failed to load, or its process keeps dying while it starts',
  memory: 'the models do not fit into the available memory',
  output: 'the output of `--help` or `--version` could not be written',
  interrupted: 'ended by a second signal while draining',
};

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
