/** What the machine, or the container or unit on it, really gives: cores and memory by the cgroups where they set a limit. */
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

/** Reads the machine's limits; `readText` gives a file's text or undefined (tests give their own). */
export function readMachine(readText: ReadText = readIfThere): Machine {
  const groups = groupsOf(readText);
  const quotas = [...groups.map((group) => cores(readText, group)), oldCores(readText)];
  const memory = [
    ...groups.map((group) => positive(readText(`${group}/memory.max`))),
    positive(readText(`${CGROUPS}/memory/memory.limit_in_bytes`)),
  ];
  return {
    // A quota of 1.5 cores is one core for threads; one of less than one is one all the same.
    cores: Math.max(1, Math.floor(least(availableParallelism(), quotas))),
    memoryBytes: least(totalmem(), memory),
  };
}

/**
 * Directories of the cgroup (version 2) that this process is in and of those above it: each may have a limit. In a container the own one is
 * the root; in a unit of systemd it is not.
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

/** Version 1 of cgroups. */
function oldCores(readText: ReadText): number | undefined {
  const dir = `${CGROUPS}/cpu`;
  return quotient(readText(`${dir}/cpu.cfs_quota_us`), readText(`${dir}/cpu.cfs_period_us`));
}

function quotient(quota: string | undefined, period: string | undefined): number | undefined {
  const [above, below] = [positive(quota), positive(period)];
  return above === undefined || below === undefined ? undefined : above / below;
}

/** Undefined for no file and for `max`, `-1` and `0`, which are no limit. */
function positive(text: string | undefined): number | undefined {
  const number = Number(text?.trim() || Number.NaN);
  return number > 0 ? number : undefined;
}

function least(first: number, others: readonly (number | undefined)[]): number {
  return Math.min(first, ...others.filter((value) => value !== undefined));
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
