import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { EXIT_CODES } from './exit-codes.js';
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
process.on('exit', () => stdout.flush());
const code = await run({ argv: argv.slice(2), env, stdout, stderr, stop: stop.signal });
// Everything is closed; whatever a library has left open must not keep the program alive.
process.exit(code);
