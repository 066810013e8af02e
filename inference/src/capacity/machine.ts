/** The cores and memory available to this process, including the cgroup limits of a container or systemd unit. */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { posix } from 'node:path';

export interface Machine {
  /** Whole cores, at least 1. */
  readonly cores: number;
  readonly memoryBytes: number;
}

const CGROUPS = '/sys/fs/cgroup';

type ReadText = (path: string) => string | undefined;

/** Reads the machine's limits; `readText` returns a file's text or undefined (replaced in tests). */
export function readMachine(readText: ReadText = readIfExists): Machine {
  const groups = groupsOf(readText);
  const quotas = [...groups.map((group) => cores(readText, group)), coresOfV1(readText)];
  const memory = [
    ...groups.map((group) => positive(readText(`${group}/memory.max`))),
    positive(readText(`${CGROUPS}/memory/memory.limit_in_bytes`)),
  ];
  return {
    // Rounded down for threads: a quota of 1.5 cores is one core; less than one core counts as one.
    cores: Math.max(1, Math.floor(minimum(availableParallelism(), quotas))),
    memoryBytes: minimum(totalmem(), memory),
  };
}

/**
 * Returns the directories of this process's cgroup (version 2) and its ancestors: each may set a limit. In a container the
 * process's own cgroup is the root; in a systemd unit it is not.
 */
function groupsOf(readText: ReadText): readonly string[] {
  const own = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  const groups = [CGROUPS];
  for (let path = posix.normalize(own); path !== '/' && path !== '.'; path = posix.dirname(path)) {
    groups.push(posix.join(CGROUPS, path));
  }
  return groups;
}

function cores(readText: ReadText, group: string): number | undefined {
  const [quota, period] = (readText(`${group}/cpu.max`) ?? '').trim().split(' ');
  return quotient(quota, period);
}

/** The CPU quota of cgroup version 1. */
function coresOfV1(readText: ReadText): number | undefined {
  const dir = `${CGROUPS}/cpu`;
  return quotient(readText(`${dir}/cpu.cfs_quota_us`), readText(`${dir}/cpu.cfs_period_us`));
}

function quotient(quota: string | undefined, period: string | undefined): number | undefined {
  const [numerator, denominator] = [positive(quota), positive(period)];
  return numerator === undefined || denominator === undefined ? undefined : numerator / denominator;
}

/** Parses a positive number. Undefined for a missing file and for `max`, `-1` and `0`, which mean no limit. */
function positive(text: string | undefined): number | undefined {
  const number = Number(text?.trim() || Number.NaN);
  return number > 0 ? number : undefined;
}

function minimum(first: number, others: readonly (number | undefined)[]): number {
  return Math.min(first, ...others.filter((value) => value !== undefined));
}

function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
