import process from 'node:process';
import { KIB, MIB } from '@heimdex/common';
import type { LogTarget } from '@heimdex/common/log';
import { pino } from 'pino';

/** At the end the log has this long to be written. */
const FLUSH_LIMIT_MS = 1000;

export interface LogOutput extends LogTarget {
  /** Resolves when the log is written, or if that is not possible: its reader is gone or reads nothing. */
  flushed(): Promise<void>;
}

/**
 * Opens standard output for the log. Lines are buffered for up to 50 ms: a write to a pipe is a system call during which no caller is
 * answered, and under load, line by line, it took a quarter of the serving process's time. Only SIGKILL loses the buffer. When the reader
 * stalls, the newest lines are dropped. A full disk or a closed reader ends the log and nothing else.
 */
export function openLogOutput(): LogOutput {
  let exiting = false;
  /** Whether the log has no line, as that of --help. */
  let isEmpty = true;
  let isLost = false;
  const output = pino.destination({
    dest: 1,
    sync: false,
    minLength: 8 * KIB,
    maxLength: MIB,
    periodicFlush: 50,
    retryEAGAIN: () => !exiting,
  });
  output.on('error', (error) => {
    if (isLost) return;
    isLost = true;
    process.stderr.write(`heimdex-inference: cannot write to standard output, the log ends here: ${error.message}\n`);
  });
  // pino calls it at the exit. sonic-boom's own repeats a write that fails for ever: to a pipe without a reader, or to a full one.
  output.flushSync = () => {
    if (isEmpty || isLost) return;
    exiting = true;
    Object.assign(output, { sync: true });
    output.flush();
  };
  return {
    isTTY: process.stdout.isTTY,
    write: (line) => {
      isEmpty = false;
      return output.write(line);
    },
    flushed: () =>
      new Promise((resolve) => {
        if (isEmpty || isLost) return resolve();
        output.flush(() => resolve());
        setTimeout(() => {
          isLost = true;
          resolve();
        }, FLUSH_LIMIT_MS);
      }),
  };
}
