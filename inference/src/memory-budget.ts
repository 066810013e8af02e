/** Whether the models fit into the memory there is, known before any of them is loaded. Pure. */
import { FatalError } from './exit-codes.js';
import type { MemoryNeed } from './memory-need.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** The server itself. */
export const SERVER_BASE_BYTES = 150 * MIB;
/** Runs beside the ordinary one: batches, long texts, windows side by side. */
const MORE_RUNS_BYTES = 2 * GIB;

/** What a worker may have of its own before it counts as leaking. */
export function workerLimitBytes({ ownBytes }: MemoryNeed, settingBytes: number, limitBytes: number): number {
  return settingBytes > 0 ? settingBytes : Math.min(limitBytes, 2 * ownBytes + MORE_RUNS_BYTES);
}

export interface ModelNeed {
  readonly name: string;
  readonly workers: number;
  /** Of one worker. */
  readonly need: MemoryNeed;
}

/** Throws a FatalError that names each model's need when together they are more than `limitBytes`. */
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
    `The models need about ${inGb(total)} GB of memory (${list}, the server ${inGb(SERVER_BASE_BYTES)} GB), and there are ${inGb(limitBytes)} GB. ` +
      'Give the container more memory, choose smaller models, or lower WORKERS_*. MEMORY_LIMIT_GB overrides what was found.',
  );
}

function inGb(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}
