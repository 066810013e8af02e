/** The process `heimdex`: its streams, its signals, its exit status. */

import { EXIT_CODES } from './exit-codes.js';
import { runCli } from './program.js';

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  Object.assign(process, { noDeprecation: true }); // What a library has still to change says nothing to who runs this.
  const interrupted = new AbortController();
  const stop = () => {
    if (interrupted.signal.aborted) process.exit(EXIT_CODES.interrupted); // A second time: at once.
    interrupted.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const { stdin, stdout, stderr, env } = process;
  stderr.on('error', () => undefined); // There is nobody left to tell.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_CODES.ok); // The reader has what it wanted, as `head` does.
    stderr.write(`heimdex: the results could not be written: ${error.message}\n`);
    process.exit(EXIT_CODES.output);
  });
  const exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env, signal: interrupted.signal });
  await Promise.all([written(stdout), written(stderr)]);
  // A server that never ends its TLS handshake, or a name server that does not answer, must not keep the program alive.
  process.exit(exitCode);
}

/** Resolves when everything that was written so far is out, or cannot be. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) return resolve();
    stream.write('', () => resolve());
  });
}
