// A machine of fewer CPUs. Linux only.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Keeps this process and all that it starts from now on to the first `count` CPUs. */
export function useCpus(count) {
  if (!(count >= 1 && count <= availableParallelism())) throw new Error(`--cpus is not 1 to ${availableParallelism()}`);
  const { status, stderr, error } = spawnSync('taskset', ['-apc', `0-${count - 1}`, String(process.pid)]);
  if (status !== 0) throw new Error(`--cpus ${count}: ${error?.message ?? String(stderr).trim()}`);
}
