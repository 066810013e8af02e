/**
 * Settings of glibc's malloc for the serving process, and of V8. Bodies of requests are large, short-lived blocks: with the defaults, each
 * thread's arena keeps freed ones. glibc reads the variables only when a process starts. The images set them.
 */
import process from 'node:process';

export const MALLOC_SETTINGS = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '1048576',
  MALLOC_TRIM_THRESHOLD_: '8388608',
} as const;

/**
 * The threshold of mmap in a worker, bytes. From 256 KiB up, audio of 4 s or more and its spectrogram do not fragment the heap either: 50 MiB
 * less for Whisper base with two workers after 16 callers, at the same speed.
 */
export const WORKER_MMAP_THRESHOLD = 256 * 1024;

/**
 * V8's flags for the serving process. Node.js 24 lets the young generation grow to twice that of Node.js 20, and V8 keeps it: 28 MiB for
 * no less time in collections.
 */
export const V8_FLAGS = ['--max-semi-space-size=16'] as const;

/**
 * The flags of a worker: it collects garbage on its own thread. Its heap holds large arrays, which parallel collection does not speed up: V8's
 * helper threads took a sixth of the time of a long audio file from the other workers and saved nothing. For the same reason it marks
 * at once: in parts, between the runs of a decoder, that takes twice as long. What a run leaves lies outside the heap, images and
 * tensors, and a collection of the young generation frees it: with one of 16 MiB it piled up until a full collection, 11 ms of every
 * twelfth face call.
 */
export const WORKER_FLAGS = [
  '--enable-source-maps',
  '--single-threaded-gc',
  '--no-incremental-marking',
  '--max-semi-space-size=4',
] as const;

/** Whether the process has glibc's defaults: on Linux, with none of the settings and no tunables in its environment. */
export function hasDefaultMalloc(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean {
  return (
    platform === 'linux' && [...Object.keys(MALLOC_SETTINGS), 'GLIBC_TUNABLES'].every((name) => env[name] === undefined)
  );
}

/**
 * Replaces this program by itself with the settings (execve): same process id, arguments and streams, once, for about 40 ms. Returns if
 * the environment has settings, the system is not Linux, a parent talks to this process over IPC, which would end, or Node.js has no
 * execve (before 22.15).
 */
export function restartWithMallocSettings(env: NodeJS.ProcessEnv): void {
  if (!hasDefaultMalloc(env, process.platform) || process.channel || process.execve === undefined) return;
  process.execve(process.execPath, [process.execPath, ...V8_FLAGS, ...process.execArgv, ...process.argv.slice(1)], {
    ...env,
    ...MALLOC_SETTINGS,
  });
}
