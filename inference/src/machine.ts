/** What the machine, or the container on it, really gives: cores and memory by the cgroup where it sets a limit. */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

export interface Machine {
  /** Whole cores, at least 1. */
  readonly cores: number;
  readonly memoryBytes: number;
}

/** Reads the machine's limits; `readText` gives a file's text or undefined (tests give their own). */
export function readMachine(readText: (path: string) => string | undefined = readIfThere): Machine {
  const quota = cgroupCores(readText);
  const cores = Math.max(1, Math.floor(Math.min(availableParallelism(), quota ?? Number.POSITIVE_INFINITY)));
  return { cores, memoryBytes: Math.min(totalmem(), cgroupMemory(readText) ?? Number.POSITIVE_INFINITY) };
}

/** A quota of 1.5 cores counts as 1.5 here. */
function cgroupCores(readText: (path: string) => string | undefined): number | undefined {
  const [quota, period] = (readText('/sys/fs/cgroup/cpu.max') ?? '').trim().split(' ').map(Number);
  if (quota !== undefined && period !== undefined && quota > 0 && period > 0) return Math.max(1, quota / period);
  const oldQuota = Number(readText('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'));
  const oldPeriod = Number(readText('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  return oldQuota > 0 && oldPeriod > 0 ? Math.max(1, oldQuota / oldPeriod) : undefined;
}

function cgroupMemory(readText: (path: string) => string | undefined): number | undefined {
  const texts = [readText('/sys/fs/cgroup/memory.max'), readText('/sys/fs/cgroup/memory/memory.limit_in_bytes')];
  return texts.map((text) => Number(text?.trim() || Number.NaN)).find((bytes) => bytes > 0);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
