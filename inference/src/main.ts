import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { EXIT_CODES, FatalError } from './exit-codes.js';
import { run } from './run.js';

// Requests are short-lived buffers outside V8's heap. V8 treats many of them as memory pressure and marks the whole heap: under
// load three times a second, 6 to 40 ms each, blocking all answers. Without incremental marking it collects only when its heap
// is full.
setFlagsFromString('--no-incremental-marking');

/** At the end the log has this long to be written. */
const FLUSH_LIMIT_MS = 1000;

/** The first signal drains, the second exits immediately. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) void flushed().then(() => process.exit(EXIT_CODES.interrupted));
    stop.abort();
  });
}

const { argv, env, stderr } = process;
let exiting = false;
/**
 * Lines are buffered for up to 50 ms: a write to a pipe is a system call during which no caller is answered, and under load, line by
 * line, it took a quarter of the serving process's time. Only SIGKILL loses the buffer. When the reader stalls, the newest lines are dropped.
 */
const log = pino.destination({
  dest: 1,
  sync: false,
  minLength: 8 * 1024,
  maxLength: 1024 * 1024,
  periodicFlush: 50,
  retryEAGAIN: () => !exiting,
});
/** Whether the log has no line, as that of --help. */
let isEmpty = true;
const write = (line: string) => {
  isEmpty = false;
  return log.write(line);
};
const stdout = { isTTY: process.stdout.isTTY, write };
// A full disk or a closed reader ends the log and nothing else.
let logLost = false;
log.on('error', (error) => {
  if (logLost) return;
  logLost = true;
  stderr.write(`heimdex-inference: cannot write to standard output, the log ends here: ${error.message}\n`);
});
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
/** Resolves when the log is written, or if that is not possible: its reader is gone or reads nothing. */
const flushed = () =>
  new Promise<void>((resolve) => {
    if (isEmpty || logLost) return resolve();
    log.flush(() => resolve());
    setTimeout(() => {
      logLost = true;
      resolve();
    }, FLUSH_LIMIT_MS);
  });
// pino calls it at the exit. sonic-boom's own repeats a write that fails for ever: to a pipe without a reader, or to a full one.
log.flushSync = () => {
  if (isEmpty || logLost) return;
  exiting = true;
  Object.assign(log, { sync: true });
  log.flush();
};
const code = await run({ argv: argv.slice(2), env, stdout, print, stderr, stop: stop.signal });
await flushed();
// Everything is closed; a handle left open by a library must not keep the program alive.
process.exit(code);
