import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import process from 'node:process';
import { EXIT_STATUS } from './errors.js';
import { run } from './run.js';

/** Ctrl-C and an orchestrator's stop signal end the run cleanly; a second signal kills it. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
}

// The server may run as another user and must be able to read these files: a strict umask would prevent it.
process.umask(process.umask() & 0o022);

// Of a host with several addresses Node.js gives each but the last 250 ms to connect: too little for a far host, or a lost packet.
setDefaultAutoSelectFamilyAttemptTimeout(3_000);

const { argv, env, stdin, stdout, stderr } = process;
// The reader of `heimdex-downloader verify | head` has read enough: the work and the exit status are unaffected.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  stderr.write(`The output could not be written: ${error.message}\n`);
  process.exit(EXIT_STATUS.disk);
});
// If stderr is broken nothing can be reported; the work and the exit status are unaffected.
stderr.on('error', () => {});
process.exitCode = await run({ argv: argv.slice(2), env, stdin, stdout, stderr, signal: stop.signal });
