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
 * V8's flags for the serving process. Node.js 24 lets the young generation grow to twice that of Node.js 20, and V8 keeps it: 28 MiB for
 * no less time in collections.
 */
export const V8_FLAGS = ['--max-semi-space-size=16'] as const;

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
