import { changeLock } from './lock-file.js';
import { isOptimizedThere, type OptimizedRecord, sortedOptimized } from './optimized-record.js';

/**
 * Records forms in the lock file and drops those that are no longer on the volume. Machines of several kinds may prepare one
 * volume concurrently. Writes nothing if nothing changes. Throws LOCK_INVALID and the system's errors.
 */
export async function recordOptimized(
  lockPath: string,
  cacheDir: string,
  made: readonly OptimizedRecord[] = [],
): Promise<void> {
  await changeLock(lockPath, async (lock) => {
    const prepared: OptimizedRecord[] = [];
    for (const record of sortedOptimized([...(lock.prepared ?? []), ...made])) {
      if (await isOptimizedThere(cacheDir, record)) prepared.push(record);
    }
    return { ...lock, prepared };
  });
}
