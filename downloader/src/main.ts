import process from 'node:process';
import { EXIT_STATUS } from './errors.js';
import { run } from './run.js';

/** Ctrl-C and an orchestrator's stop end the run in order; a second signal ends it at once. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
}

// What is written here a server under another user must read: a strict umask would lock it out.
process.umask(process.umask() & 0o022);

const { argv, env, stdin, stdout, stderr } = process;
// `heimdex-downloader list | head` has what it wants once the pipe is closed.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_STATUS.ok);
  stderr.write(`The output could not be written: ${error.message}\n`);
  process.exit(EXIT_STATUS.disk);
});
// What cannot be said cannot be said; the work and its exit status stand.
stderr.on('error', () => {});
process.exitCode = await run({ argv: argv.slice(2), env, stdin, stdout, stderr, signal: stop.signal });
