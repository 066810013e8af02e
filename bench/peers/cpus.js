// A machine of fewer CPUs. Linux only.
import { spawnSync } from 'node:child_process';

/** Keeps this process and all that it starts from now on to the first `count` CPUs. */
export function useCpus(count) {
  const { status, stderr, error } = spawnSync('taskset', ['-apc', `0-${count - 1}`, String(process.pid)]);
  if (status !== 0) throw new Error(`--cpus ${count}: ${error?.message ?? String(stderr).trim()}`);
}
