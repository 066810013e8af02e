import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { makeDirOf, throwDiskError } from './disk.js';

/** A held lock. */
export interface HeldLock {
  /** False for a shared lock, and where the volume does not support locks: another process may be at the same work. */
  readonly isAlone: boolean;
  /** Releases the lock. The empty lock file stays, since other processes may wait on it. Idempotent. */
  release(): Promise<void>;
}

/** Callbacks of a wait for a lock. */
export interface LockEvents {
  /** Called once if another process holds the lock. */
  onWait(path: string): void;
  /** Called once if the volume does not support locks: two downloaders would both fetch, each into its own files. */
  onUnsupported(path: string, reason: string): void;
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const POLL_MS = 100;

/**
 * Acquires the same lock as huggingface_hub for the same blob: an exclusive flock(2) on a file that stays. The kernel releases
 * it when the process ends for any reason, so a dead process blocks nobody. Several processes may have a shared one.
 *
 * Node.js has no flock; the C function is called through koffi, which is loaded on first use.
 */
export async function acquireLock(
  path: string,
  events: LockEvents,
  signal: AbortSignal,
  mode: 'shared' | 'exclusive' = 'exclusive',
): Promise<HeldLock> {
  await makeDirOf(path);
  const { flock } = await loadFlock();
  let waiting = false;
  for (;;) {
    signal.throwIfAborted();
    const file = await openLockFile(path);
    const answer = flock(file.fd, (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB);
    if (answer === 'taken' && (await stillNamed(file))) return held(file, mode === 'exclusive');
    if (answer !== 'taken' && answer !== 'busy') {
      events.onUnsupported(path, answer);
      return held(file, false);
    }
    await file.close();
    if (answer === 'busy' && !waiting) {
      waiting = true;
      events.onWait(path);
    }
    if (answer === 'busy') await delay(POLL_MS, undefined, { signal });
  }
}

/** Runs `work` and then releases the lock, if there is one. */
export async function whileHeld<T>(lock: HeldLock | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await lock?.release();
  }
}

/** Returns `taken`, `busy`, or the name of the system error. */
type FlockAnswer = 'taken' | 'busy' | (string & {});
type Flock = (fd: number, operation: number) => FlockAnswer;

let loaded: Promise<{ flock: Flock }> | undefined;

/** Loaded once per process. */
function loadFlock(): Promise<{ flock: Flock }> {
  loaded ??= (async () => {
    const { default: koffi } = await import('koffi');
    const call = koffi.load(null).func('int flock(int fd, int operation)');
    const names = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]));
    const busy = new Set([koffi.os.errno.EAGAIN, koffi.os.errno.EWOULDBLOCK, koffi.os.errno.EACCES]);
    const flock: Flock = (fd, operation) => {
      if (call(fd, operation) === 0) return 'taken';
      const code = koffi.errno();
      return busy.has(code) ? 'busy' : (names.get(code) ?? `errno ${code}`);
    };
    return { flock };
  })();
  return loaded;
}

/** Group-writable, as in huggingface_hub, so that users who share a cache can wait for each other. */
function openLockFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o664).catch(throwDiskError(path));
}

/** Returns whether the lock file is still at its path: a lock on a deleted file protects nothing. */
async function stillNamed(file: FileHandle): Promise<boolean> {
  if ((await file.stat()).nlink > 0) return true;
  await file.close();
  return false;
}

function held(file: FileHandle, isAlone: boolean): HeldLock {
  let open = true;
  return {
    isAlone,
    async release() {
      if (!open) return;
      open = false;
      await file.close();
    },
  };
}
