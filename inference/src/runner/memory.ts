/** Memory use of processes as proportional set size (PSS): a page shared by n processes counts as 1/n for each. */

import { readFile } from 'node:fs/promises';
import { KIB } from '@heimdex/common';

/** Cache time of a reading: of a large process it takes the kernel milliseconds. */
const CACHE_MS = 1000;

/** Reads at most once per CACHE_MS, however often it is called. */
export function cachedReading(read: () => Promise<number>): () => Promise<number> {
  let value: Promise<number> | undefined;
  let readAtMs = 0;
  return () => {
    if (value === undefined || performance.now() - readAtMs > CACHE_MS) {
      readAtMs = performance.now();
      value = read();
    }
    return value;
  };
}

/**
 * Returns the PSS of a process in bytes; 0 if it does not exist. Falls back to the resident set size if smaps_rollup is not
 * readable.
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
