/** Estimates whether the models fit into memory before any of them is loaded. Pure. */
import { GIB, MIB } from '@heimdex/common';
import { FatalError } from '../exit-codes.js';
import type { MemoryNeed } from './memory-need.js';

/** The serving process. */
export const SERVER_BASE_BYTES = 150 * MIB;
/** Memory of larger runs than the ordinary one: batches, long texts, several windows. */
const MORE_RUNS_BYTES = 2 * GIB;

/** Returns the private memory above which a worker counts as leaking. */
export function workerLimitBytes({ ownBytes }: MemoryNeed, settingBytes: number, limitBytes: number): number {
  return settingBytes > 0 ? settingBytes : Math.min(limitBytes, 2 * ownBytes + MORE_RUNS_BYTES);
}

export interface ModelNeed {
  readonly name: string;
  readonly workers: number;
  /** Of one worker. */
  readonly need: MemoryNeed;
}

/** Throws a FatalError that lists each model's need if the total exceeds `limitBytes`. */
export function checkMemory(needs: readonly ModelNeed[], limitBytes: number): void {
  const total = needs.reduce(
    (sum, { workers, need }) => sum + workers * need.ownBytes + need.mappedBytes,
    SERVER_BASE_BYTES,
  );
  if (total <= limitBytes) return;
  const list = needs
    .map(({ name, workers, need }) => `${name} ${workers} x ${inGb(need.ownBytes)} + ${inGb(need.mappedBytes)} GB`)
    .join(', ');
  throw new FatalError(
    'memory',
    `The models need about ${inGb(total)} GB of memory (${list}, the server ${inGb(SERVER_BASE_BYTES)} GB), but only ${inGb(limitBytes)} GB are available. ` +
      'Give the container more memory, or raise MEMORY_LIMIT_GB, which overrides the detected limit; choose smaller models, or lower WORKERS_*.',
  );
}

function inGb(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}
