/** The process `heimdex`: its streams, its signals, its exit status. */

import { EXIT_CODES } from './exit-codes.js';
import { runCli } from './program.js';

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  const interrupted = new AbortController();
  const stop = () => {
    if (interrupted.signal.aborted) process.exit(EXIT_CODES.interrupted); // A second time: at once.
    interrupted.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT_CODES.ok); // The reader has what it wanted, as `head` does.
  });
  const { stdin, stdout, stderr, env } = process;
  process.exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env, signal: interrupted.signal });
  stdin.destroy();
}
