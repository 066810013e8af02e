import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { asDiskError, makeDirOf } from './disk.js';

/** A lock that is held. */
export interface HeldLock {
  /** Lets it go; the empty lock file stays, as others may be waiting on it. Idempotent. */
  release(): Promise<void>;
}

/** What a wait for a lock tells. */
export interface LockEvents {
  /** Somebody else has it. Told once. */
  onWait(path: string): void;
  /** The volume knows no locks: two downloaders would both fetch, each into files of its own. Told once. */
  onUnsupported(path: string, reason: string): void;
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const POLL_MS = 100;

/**
 * Takes the lock that huggingface_hub takes for the same blob: flock(2), exclusive, on a file that stays. The kernel
 * lets it go when the process ends in whatever way, so a dead process holds nobody up.
 *
 * Node.js has no flock; it is called in the C library through koffi, which is loaded at first use.
 */
export async function takeLock(path: string, events: LockEvents, signal: AbortSignal): Promise<HeldLock> {
  await makeDirOf(path);
  const { flock } = await loadFlock();
  let waiting = false;
  for (;;) {
    signal.throwIfAborted();
    const file = await openLockFile(path);
    const answer = flock(file.fd, LOCK_EX | LOCK_NB);
    if (answer === 'taken' && (await stillNamed(file))) return held(file);
    if (answer !== 'taken' && answer !== 'busy') {
      events.onUnsupported(path, answer);
      return held(file);
    }
    await file.close();
    if (answer === 'busy' && !waiting) {
      waiting = true;
      events.onWait(path);
    }
    if (answer === 'busy') await delay(POLL_MS, undefined, { signal });
  }
}

/** `taken`, `busy`, or the name of the system's error. */
type FlockAnswer = 'taken' | 'busy' | (string & {});
type Flock = (fd: number, operation: number) => FlockAnswer;

let loaded: Promise<{ flock: Flock }> | undefined;

/** Once a process: a library is not loaded twice. */
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

/** Group-writable, as huggingface_hub makes them, so that users who share a cache can wait for each other. */
async function openLockFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o664);
  } catch (error) {
    throw asDiskError(error, path);
  }
}

/** A lock on a file that somebody deleted meanwhile guards nothing. */
async function stillNamed(file: FileHandle): Promise<boolean> {
  if ((await file.stat()).nlink > 0) return true;
  await file.close();
  return false;
}

function held(file: FileHandle): HeldLock {
  let open = true;
  return {
    async release() {
      if (!open) return;
      open = false;
      await file.close();
    },
  };
}
