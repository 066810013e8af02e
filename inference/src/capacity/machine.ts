/** The cores, memory and open files available to this process, including the cgroup limits of a container or systemd unit. */
import { availableParallelism, totalmem } from 'node:os';
import { posix } from 'node:path';
import { readSystemFile } from '../process/work-reading.js';

export interface Machine {
  /** Whole cores, at least 1. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Files and connections that this process may have open; absent: not known. */
  readonly openFiles?: number;
}

/** Files for other than connections: workers, listening sockets, connections that are being refused. */
const OWN_FILES = 256;
const MIN_CONNECTIONS = 16;

/** How many connections to allow. Beyond the system's limit none is accepted at all: silent ones would keep everybody out. */
export function connectionsWithin({ openFiles }: Machine, setting: number): number {
  return openFiles === undefined ? setting : Math.min(setting, Math.max(MIN_CONNECTIONS, openFiles - OWN_FILES));
}

const CGROUPS = '/sys/fs/cgroup';

type ReadText = (path: string) => string | undefined;

/** Reads the machine's limits; `readText` returns a file's text or undefined (replaced in tests). */
export function readMachine(readText: ReadText = readSystemFile): Machine {
  const own = readText('/proc/self/cgroup') ?? '';
  const groups = groupsOf(own, '', CGROUPS);
  const quotas = [
    ...groups.map((group) => cores(readText, group)),
    ...groupsOf(own, 'cpu', `${CGROUPS}/cpu`).map((group) => coresOfV1(readText, group)),
  ];
  const memory = [
    ...groups.map((group) => `${group}/memory.max`),
    ...groupsOf(own, 'memory', `${CGROUPS}/memory`).map((group) => `${group}/memory.limit_in_bytes`),
  ].map((path) => positive(readText(path)));
  const openFiles = positive(/^Max open files +(\S+)/m.exec(readText('/proc/self/limits') ?? '')?.[1]);
  return {
    // Rounded down for threads: a quota of 1.5 cores is one core; less than one core counts as one.
    cores: Math.max(1, Math.floor(minimum(availableParallelism(), quotas))),
    memoryBytes: minimum(totalmem(), memory),
    ...(openFiles === undefined ? {} : { openFiles }),
  };
}

/**
 * Returns the directories of this process's cgroup below `root` and its ancestors: each may set a limit. In a container the process's own
 * cgroup is the root; in a systemd unit it is not. `own` is the text of /proc/self/cgroup, a line `number:controllers:path` per hierarchy;
 * `controller` is one of version 1, or empty for version 2.
 */
function groupsOf(own: string, controller: string, root: string): readonly string[] {
  const lines = own.split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const path = lines.find((line) => line?.[1]?.split(',').includes(controller))?.[2] ?? '/';
  const groups = [root];
  for (let at = posix.normalize(path); at !== '/' && at !== '.'; at = posix.dirname(at)) {
    groups.push(posix.join(root, at));
  }
  return groups;
}

function cores(readText: ReadText, group: string): number | undefined {
  const [quota, period] = (readText(`${group}/cpu.max`) ?? '').trim().split(' ');
  return quotient(quota, period);
}

function coresOfV1(readText: ReadText, group: string): number | undefined {
  return quotient(readText(`${group}/cpu.cfs_quota_us`), readText(`${group}/cpu.cfs_period_us`));
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
