import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { EXIT_CODES, FatalError } from './exit-codes.js';
import { run } from './run.js';

// Requests are buffers outside of V8's heap that die young. V8 takes so many of them for pressure and marks the whole heap for it, three
// times a second under load, 6 to 40 ms each, during which nobody is answered. Without marking in steps it collects when its own heap is full.
setFlagsFromString('--no-incremental-marking');

/** The first signal drains, the second ends at once. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) process.exit(EXIT_CODES.interrupted);
    stop.abort();
  });
}

const { argv, env, stderr } = process;
/**
 * Lines are buffered for up to 50 ms: a write to a pipe is a system call during which no caller is answered, and under load, line by
 * line, it took a quarter of the serving process's time. Only SIGKILL loses the buffer. When the reader stalls, the newest lines are dropped.
 */
const log = pino.destination({ dest: 1, sync: false, minLength: 8 * 1024, maxLength: 1024 * 1024, periodicFlush: 50 });
const stdout = { isTTY: process.stdout.isTTY, write: (line: string) => log.write(line) };
// A full disk or a closed reader ends the log and nothing else.
let logLost = false;
log.on('error', (error) => {
  if (logLost) return;
  logLost = true;
  stderr.write(`heimdex-inference: standard output cannot be written, the log ends here: ${error.message}\n`);
});
process.stdout.on('error', () => {});
stderr.on('error', () => {});
const print = (text: string) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
      // A reader that closes its pipe, as `head` does, has what it wanted.
      if (message === undefined || code === 'EPIPE') resolve();
      else reject(new FatalError('output', `Standard output cannot be written: ${message}`, { cause: error }));
    });
  });
process.on('exit', () => {
  if (!logLost) log.flushSync();
});
const code = await run({ argv: argv.slice(2), env, stdout, print, stderr, stop: stop.signal });
// Everything is closed; whatever a library has left open must not keep the program alive.
process.exit(code);
