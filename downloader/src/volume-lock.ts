import { join } from 'node:path';
import { acquireLock, type HeldLock, whileHeld } from './blob-lock.js';
import type { CommandContext } from './commands/context.js';
import { lockEvents } from './lock-events.js';

/**
 * Runs what fetches, compiles or imports models, several processes at a time, while none removes any: until the lock file names a model, it
 * looks like one that nobody needs.
 */
export async function whileNonePrunes<T>(context: CommandContext, work: () => Promise<T>): Promise<T> {
  // On a volume that cannot be written nothing is fetched either; that error says what for.
  const lock = await acquire(context, 'shared').catch(() => undefined);
  return whileHeld(lock, () => {
    context.signal.throwIfAborted();
    return work();
  });
}

/** Runs what removes models while no process fetches, compiles or imports any. Throws DownloaderError DISK_FAILED, DISK_FULL. */
export async function whileNoneDownloads<T>(context: CommandContext, work: () => Promise<T>): Promise<T> {
  return whileHeld(await acquire(context, 'exclusive'), work);
}

function acquire({ config, log, signal }: CommandContext, mode: 'shared' | 'exclusive'): Promise<HeldLock> {
  const path = join(config.models.cacheDir, '.locks', 'prune.lock');
  const what = mode === 'shared' ? 'removes models from' : 'downloads or imports models to';
  const events = lockEvents(log, `Another process ${what} this volume; waiting for it`);
  return acquireLock(path, events, signal, mode);
}
