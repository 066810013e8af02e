/** Entry point of `heimdex`: streams, signals and exit status. */

import { createReadStream, fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { readEnvironment } from './config.js';
import { EXIT_CODES } from './exit-codes.js';
import { runCli } from './program.js';
import { ERASE_LINE } from './terminal.js';

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  const { stdout, stderr, env } = process;
  Object.assign(process, { noDeprecation: true }); // Deprecation warnings of libraries do not concern the user.
  const interrupted = new AbortController();
  const stop = () => {
    if (!interrupted.signal.aborted) return interrupted.abort();
    // Exit immediately on the second signal, without the progress line.
    if (stderr.isTTY && !readEnvironment(env).dumb) stderr.write(ERASE_LINE);
    process.exit(EXIT_CODES.interrupted);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  stderr.on('error', () => undefined); // Nowhere left to report it.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_CODES.ok); // The reader closed the pipe, as `head` does.
    stderr.write(`heimdex: the results could not be written: ${error.message}\n`);
    process.exit(EXIT_CODES.output);
  });
  const exitCode = await runCli(process.argv.slice(2), {
    stdin: standardInput(),
    stdout,
    stderr,
    env,
    signal: interrupted.signal,
  });
  await Promise.all([flushed(stdout), flushed(stderr)]);
  // A stalled TLS handshake or DNS query must not keep the process alive.
  process.exit(exitCode);
}

/** Node.js takes a directory for empty input; reading it says what it is. */
function standardInput(): Readable {
  return fstatSync(0).isDirectory() ? createReadStream('', { fd: 0 }) : process.stdin;
}

/** Resolves when all pending output is written, or cannot be. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) return resolve();
    stream.write('', () => resolve());
  });
}
