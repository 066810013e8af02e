import type { LockEvents } from './blob-lock.js';
import type { Logger } from './log.js';

/** The logs of runs that have been warned: a run takes a lock for each file. */
const warned = new WeakSet<Logger>();

/** Warns once a run of a volume without locks. */
export function warnOfNoLocks(log: Logger, path: string, reason: string): void {
  if (warned.has(log)) return;
  warned.add(log);
  log.warn(
    { event: 'no-lock', path, reason },
    `This volume does not support file locks (${reason}); run one downloader at a time`,
  );
}

/** Returns events for the log. `waiting` says what the process waits for. */
export function lockEvents(log: Logger, waiting: string): LockEvents {
  return {
    onWait: (path) => log.info({ event: 'wait', path }, waiting),
    onUnsupported: (path, reason) => warnOfNoLocks(log, path, reason),
  };
}
