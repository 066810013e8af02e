/** What the command's exit status says. Part of the interface: a number keeps its meaning. */
export const EXIT_CODES = {
  /** Everything was done. */
  ok: 0,
  /** At least one input has no result, or the server refused the call; standard error says which and why. */
  failed: 1,
  /** The command line is wrong; nothing was sent. */
  usage: 2,
  /** The server cannot be reached, or is not ready. */
  unavailable: 3,
  /** The time limit passed. */
  timeout: 4,
  /** `health`: the server, or the method asked for, does not serve. */
  notServing: 5,
  /** An error in this program. */
  internal: 70,
  /** The results could not be written: a full disk, a broken terminal. A reader that closes its pipe, as `head` does, is none. */
  output: 74,
  /** Interrupted by Ctrl-C. */
  interrupted: 130,
} as const;

/** One of the documented exit codes. */
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The exit codes as `--help` shows them. */
export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    at least one input failed, or the server refused the call
  2    wrong command line
  3    the server cannot be reached or is not ready
  4    the time limit passed
  5    health: not serving
  70   an error in this program
  74   the results could not be written
  130  interrupted`;
