import { type ModelsLock, readLock, writeLock } from './lock-file.js';
import { isPreparedThere, type PreparedRecord, sortedPrepared } from './prepared-record.js';

/** Attempts at a change of the lock file that another process changes at the same time. */
const MAX_ATTEMPTS = 5;

/**
 * Records forms in the lock file, and forgets those that are no longer on the volume. Reads the file again each time, for
 * machines of several kinds may prepare one volume at once. Writes nothing when nothing changes. Throws LOCK_INVALID and the
 * system's errors.
 */
export async function recordPrepared(
  lockPath: string,
  cacheDir: string,
  made: readonly PreparedRecord[] = [],
): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const lock = await readLock(lockPath);
    const before = lock?.prepared ?? [];
    const prepared: PreparedRecord[] = [];
    for (const record of sortedPrepared([...before, ...made])) {
      if (await isPreparedThere(cacheDir, record)) prepared.push(record);
    }
    if (JSON.stringify(prepared) === JSON.stringify(before)) return;
    const next: ModelsLock = { models: lock?.models ?? [], prepared };
    await writeLock(lockPath, next);
  }
}
