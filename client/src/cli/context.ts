import { messageOf, visible } from '@heimdex/common';
import { createInferenceClient, type InferenceClient } from '../client.js';
import type { InferenceClientError } from '../errors.js';
import type { CallOptions } from '../options.js';
import { TIMEOUT_ADVICE, usageError } from './cli-error.js';
import { type CliEnvironment, type CommonOptions, clientOptions } from './config.js';
import { EXIT_CODES, type ExitCode } from './exit-codes.js';
import { FILE_UNREADABLE } from './read-file.js';
import type { Terminal } from './terminal.js';

/** Environment of every command. */
export interface CliHost {
  readonly terminal: Terminal;
  readonly environment: CliEnvironment;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** How JSON names an input that failed. */
type FailedInput = { readonly file: string } | { readonly text: string };

/** Environment of a command that calls the server. */
export interface CommandContext extends CliHost {
  readonly client: InferenceClient;
  readonly json: boolean;
  /** Options of every call: timeout and signal. */
  readonly call: CallOptions;
  /** Reports a failed input. The command continues and ends with exit status 1, or 4 if no input failed for another reason than time. */
  fail(name: string, error: InferenceClientError, input?: FailedInput): void;
}

/** Runs a command with a client that is closed afterwards. Returns the exit status. */
export async function withClient(
  host: CliHost,
  options: CommonOptions,
  run: (context: CommandContext) => Promise<ExitCode | undefined>,
): Promise<ExitCode> {
  const settings = await clientOptions(options, host.environment, host.signal);
  const client = openClient(settings);
  const failures: InferenceClientError[] = [];
  const context: CommandContext = {
    ...host,
    client,
    json: options.json === true,
    call: { signal: host.signal, ...(options.timeout !== undefined && { timeoutMs: options.timeout * 1000 }) },
    fail: (name, error, input = { file: name }) => {
      failures.push(error);
      const { code, reason, message, field } = error;
      if (options.json === true) host.terminal.json({ ...input, error: { code, reason, message, field } });
      const text = reason === FILE_UNREADABLE ? message : `${name}: ${message}`;
      host.terminal.error(`${host.terminal.err.red('failed')}  ${visible(text)}`);
    },
  };
  try {
    const exitCode = await run(context);
    if (exitCode !== undefined || failures.length === 0) return exitCode ?? EXIT_CODES.ok;
    if (!failures.every(({ code }) => code === 'DEADLINE_EXCEEDED')) return EXIT_CODES.failed;
    for (const line of TIMEOUT_ADVICE) host.terminal.error(line);
    return EXIT_CODES.timeout;
  } finally {
    host.terminal.clearStatus();
    client.close();
  }
}

function openClient(settings: Parameters<typeof createInferenceClient>[0]): InferenceClient {
  try {
    return createInferenceClient(settings);
  } catch (error) {
    throw usageError(messageOf(error));
  }
}
