/** What processes really use: their proportional set size, in which a page that n processes share counts as 1/n for each. */

import { readFile } from 'node:fs/promises';
import { KIB } from '@heimdex/common';

/**
 * Bytes of a process; 0 when it is gone. Where the kernel has no smaps_rollup, or does not let it be read, the resident
 * set stands in.
 */
export async function processMemoryBytes(pid: number): Promise<number> {
  return (
    (await readKibibytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m)) ??
    (await readKibibytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m)) ??
    0
  );
}

async function readKibibytes(path: string, line: RegExp): Promise<number | undefined> {
  try {
    const match = line.exec(await readFile(path, 'utf8'));
    return match?.[1] === undefined ? undefined : Number(match[1]) * KIB;
  } catch {
    return undefined;
  }
}
