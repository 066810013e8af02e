import { messageOf } from '@heimdex/common';
import { InferenceClientError, type TlsProblem } from '../errors.js';
import { EXIT_CODES, type ExitCode } from './exit-codes.js';

/** An error that ends the command with a message and an exit status. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message);
  }
}

/** Returns the error for an invalid command line. */
export function usageError(message: string): CliError {
  return new CliError(message, EXIT_CODES.usage);
}

/** How an error is reported: its message, advice and exit status. */
export interface ErrorReport {
  readonly message: string;
  /** Remedies, one per line. */
  readonly advice: readonly string[];
  readonly exitCode: ExitCode;
}

/** Returns the report of any error. */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof CliError) return { message: error.message, advice: [], exitCode: error.exitCode };
  if (error instanceof InferenceClientError) return reportOfCall(error);
  return {
    message: messageOf(error),
    advice: ['This is a bug in heimdex; set HEIMDEX_DEBUG=1 for a stack trace.'],
    exitCode: EXIT_CODES.internal,
  };
}

/** Whether further inputs would fail as well: the server is unavailable, or the user interrupted. */
export function endsTheRun(error: unknown): boolean {
  if (!(error instanceof InferenceClientError)) return false;
  if (error.reason === 'ABORTED' || error.reason === 'MODEL_MISMATCH') return true;
  if (error.reason === 'PROXY_TIMEOUT') return false;
  return ['UNAVAILABLE', 'UNAUTHENTICATED', 'UNIMPLEMENTED', 'PERMISSION_DENIED'].includes(error.code);
}

function reportOfCall(error: InferenceClientError): ErrorReport {
  const message = error.field === undefined ? error.message : `${error.message} (${error.field})`;
  if (error.reason === 'ABORTED') return { message: 'interrupted', advice: [], exitCode: EXIT_CODES.interrupted };
  if (error.reason === 'PROXY_TIMEOUT') return { message, advice: [], exitCode: EXIT_CODES.timeout };
  if (error.reason === 'UNREACHABLE') {
    const advice = error.tlsProblem === undefined ? UNREACHABLE : TLS_ADVICE[error.tlsProblem];
    return { message, advice, exitCode: EXIT_CODES.unavailable };
  }
  switch (error.code) {
    case 'UNAVAILABLE':
      return { message, advice: ['To see the server status: heimdex health'], exitCode: EXIT_CODES.unavailable };
    case 'RESOURCE_EXHAUSTED':
      return { message, advice: [], exitCode: EXIT_CODES.unavailable };
    case 'DEADLINE_EXCEEDED':
      return { message, advice: TIMEOUT_ADVICE, exitCode: EXIT_CODES.timeout };
    case 'UNAUTHENTICATED':
      return { message, advice: ['To send a token: --token-file FILE, or HEIMDEX_TOKEN'], exitCode: EXIT_CODES.failed };
    default:
      return { message: `${message} [${error.reason ?? error.code}]`, advice: [], exitCode: EXIT_CODES.failed };
  }
}

/** For calls and inputs that took too long. */
export const TIMEOUT_ADVICE = ['To wait longer: --timeout SECONDS'];

const UNREACHABLE = [
  'Is the server running? To start it: npx heimdex-inference',
  'Is it on another host? Set --address HOST:PORT, or HEIMDEX_ADDRESS=HOST:PORT',
];

/** The options for what the message says. */
const TLS_ADVICE: Readonly<Record<TlsProblem, readonly string[]>> = {
  TLS_REQUIRED: ['To use TLS: --tls, or --address https://HOST:PORT'],
  TLS_UNSUPPORTED: ['To use no TLS: --address http://HOST:PORT, without --tls'],
  CERTIFICATE_UNTRUSTED: ['To trust its authority: --tls-ca FILE'],
  CERTIFICATE_NAME: ['To use a name of the certificate: --address https://NAME:PORT'],
  CERTIFICATE_EXPIRED: [],
  CLIENT_CERTIFICATE_REQUIRED: ['To send a client certificate: --tls-cert FILE --tls-key FILE'],
  CLIENT_CERTIFICATE_REFUSED: ['To send another client certificate: --tls-cert FILE --tls-key FILE'],
};
