import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { EXIT_CODES, FatalError } from './exit-codes.js';
import { bufferLines } from './line-buffer.js';
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
const stdout = bufferLines(process.stdout);
// A full disk or a reader that is gone costs the log and nothing else: who is served stays served.
let logLost = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (logLost || printing) return;
  logLost = true;
  stderr.write(`heimdex-inference: standard output cannot be written, the log ends here: ${error.message}\n`);
});
stderr.on('error', () => {});
let printing = false;
const print = (text: string) =>
  new Promise<void>((resolve, reject) => {
    printing = true;
    process.stdout.write(text, (error) => {
      const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
      // A reader that closes its pipe, as `head` does, has what it wanted.
      if (message === undefined || code === 'EPIPE') resolve();
      else reject(new FatalError('output', `Standard output cannot be written: ${message}`, { cause: error }));
    });
  });
process.on('exit', () => stdout.flush());
const code = await run({ argv: argv.slice(2), env, stdout, print, stderr, stop: stop.signal });
// Everything is closed; whatever a library has left open must not keep the program alive.
process.exit(code);
