import { InferenceClientError } from '../errors.js';
import { EXIT_CODES, type ExitCode } from './exit-codes.js';

/** Something that ends the command with a message and an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message);
  }
}

/** A wrong command line. */
export function usageError(message: string): CliError {
  return new CliError(message, EXIT_CODES.usage);
}

/** What is shown of an error, and the exit code it stands for. */
export interface Verdict {
  readonly message: string;
  /** What to do, a line each. */
  readonly advice: readonly string[];
  readonly exitCode: ExitCode;
}

/** How any error is told to a person. */
export function judge(error: unknown): Verdict {
  if (error instanceof CliError) return { message: error.message, advice: [], exitCode: error.exitCode };
  if (error instanceof InferenceClientError) return judgeCall(error);
  const message = error instanceof Error ? error.message : String(error);
  if (isWriteError(error)) return { message, advice: [], exitCode: EXIT_CODES.output };
  return {
    message,
    advice: ['This is an error in heimdex; HEIMDEX_DEBUG=1 shows where.'],
    exitCode: EXIT_CODES.internal,
  };
}

const WRITE_CALLS = ['write', 'writev', 'pwrite', 'fsync', 'rename', 'mkdir'];
const WRITE_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS'];

/** Whether it is what the system says of a file that cannot be written. */
function isWriteError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = '', syscall = '' } = error as NodeJS.ErrnoException;
  return WRITE_CALLS.includes(syscall) || WRITE_CODES.includes(code);
}

/** True when no further input has a chance either: the server is not there, or the caller wants to stop. */
export function endsTheRun(error: unknown): boolean {
  if (!(error instanceof InferenceClientError)) return false;
  if (error.reason === 'ABORTED' || error.reason === 'MODEL_MISMATCH') return true;
  return ['UNAVAILABLE', 'UNAUTHENTICATED', 'UNIMPLEMENTED', 'PERMISSION_DENIED'].includes(error.code);
}

function judgeCall(error: InferenceClientError): Verdict {
  const message = error.field === undefined ? error.message : `${error.message} (${error.field})`;
  if (error.reason === 'ABORTED') return { message: 'interrupted', advice: [], exitCode: EXIT_CODES.interrupted };
  if (error.reason === 'UNREACHABLE') return { message, advice: UNREACHABLE, exitCode: EXIT_CODES.unavailable };
  switch (error.code) {
    case 'UNAVAILABLE':
      return { message, advice: ['What the server says of itself: heimdex health'], exitCode: EXIT_CODES.unavailable };
    case 'RESOURCE_EXHAUSTED':
      return { message, advice: [], exitCode: EXIT_CODES.unavailable };
    case 'DEADLINE_EXCEEDED':
      return { message, advice: ['To wait longer: --timeout SECONDS'], exitCode: EXIT_CODES.timeout };
    case 'UNAUTHENTICATED':
      return { message, advice: ['To show a token: --token-file FILE, or HEIMDEX_TOKEN'], exitCode: EXIT_CODES.failed };
    default:
      return { message: `${message} [${error.reason ?? error.code}]`, advice: [], exitCode: EXIT_CODES.failed };
  }
}

const UNREACHABLE = [
  'Is the server running? To start it: npx heimdex-inference',
  'Is it elsewhere? Say where: --address HOST:PORT, or HEIMDEX_ADDRESS=HOST:PORT',
];
