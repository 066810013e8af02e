import { type ModelsLock, readLock, writeLock } from './lock-file.js';
import { isOptimizedThere, type OptimizedRecord, sortedOptimized } from './optimized-record.js';

/** Maximum attempts to change a lock file that another process changes at the same time. */
const MAX_ATTEMPTS = 5;

/**
 * Records forms in the lock file and drops those that are no longer on the volume. Reads the file again each time, since
 * machines of several kinds may prepare one volume concurrently. Writes nothing if nothing changes. Throws LOCK_INVALID and
 * the system's errors.
 */
export async function recordOptimized(
  lockPath: string,
  cacheDir: string,
  made: readonly OptimizedRecord[] = [],
): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const lock = await readLock(lockPath);
    const before = lock?.prepared ?? [];
    const prepared: OptimizedRecord[] = [];
    for (const record of sortedOptimized([...before, ...made])) {
      if (await isOptimizedThere(cacheDir, record)) prepared.push(record);
    }
    if (JSON.stringify(prepared) === JSON.stringify(before)) return;
    const next: ModelsLock = { models: lock?.models ?? [], prepared };
    await writeLock(lockPath, next);
  }
}
