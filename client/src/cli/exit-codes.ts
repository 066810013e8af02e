/** Exit statuses of the command. Part of the interface: a number keeps its meaning. */
export const EXIT_CODES = {
  /** Success. */
  ok: 0,
  /** At least one input failed, or the server refused the call; see standard error. */
  failed: 1,
  /** Invalid command line; nothing was sent. */
  usage: 2,
  /** The server is unreachable or not ready. */
  unavailable: 3,
  /** Timeout. */
  timeout: 4,
  /** `health`: the server or the given method is not serving. */
  notServing: 5,
  /** A bug in this program. */
  internal: 70,
  /** The results could not be written, for example to a full disk. A closed pipe, as with `head`, is not an error. */
  output: 74,
  /** Interrupted by Ctrl-C. */
  interrupted: 130,
} as const;

/** One of the documented exit statuses. */
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The exit statuses for `--help`. */
export const EXIT_CODES_HELP = `
Exit status:
  0    success
  1    at least one input failed, or the server refused the call
  2    invalid command line
  3    the server is unreachable or not ready
  4    timeout
  5    health: not serving
  70   a bug in this program
  74   the results could not be written
  130  interrupted`;
