import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { EXIT_CODES, FatalError } from './exit-codes.js';
import { run } from './run.js';
import { openLogOutput } from './telemetry/log-output.js';

// Requests are short-lived buffers outside V8's heap. V8 treats many of them as memory pressure and marks the whole heap: under
// load three times a second, 6 to 40 ms each, blocking all answers. Without incremental marking it collects only when its heap
// is full.
setFlagsFromString('--no-incremental-marking');

const stdout = openLogOutput();

/** The first signal drains, the second exits immediately. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) void stdout.flushed().then(() => process.exit(EXIT_CODES.interrupted));
    stop.abort();
  });
}

const { argv, env, stderr } = process;
// A lost reader ends what it read and nothing else.
process.stdout.on('error', () => {});
stderr.on('error', () => {});
const print = (text: string) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
      // A reader that closes its pipe, as `head` does, is not an error.
      if (message === undefined || code === 'EPIPE') resolve();
      else reject(new FatalError('output', `Cannot write to standard output: ${message}`, { cause: error }));
    });
  });
const code = await run({ argv: argv.slice(2), env, stdout, print, stderr, stop: stop.signal });
await stdout.flushed();
// Everything is closed; a handle left open by a library must not keep the program alive.
process.exit(code);
