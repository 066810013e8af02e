/** Whether the models fit into the memory there is, known before any of them is loaded. Pure. */
import { GIB, MIB } from '@heimdex/common';
import { FatalError } from './exit-codes.js';
import type { ConfiguredModel } from './models/find.js';

/** A process of Node.js with the runtime in it, before its model. */
const WORKER_BASE_BYTES = 120 * MIB;
/** The server itself. */
export const SERVER_BASE_BYTES = 150 * MIB;
/** Weights in memory, prepacked, and what a run needs beside them, over the size of the files. Measured: 1.4 to 1.6. */
const MEMORY_PER_WEIGHT_BYTE = 1.5;

/** What one worker of a model needs, by the size of its weights. */
export function workerNeedBytes({ found }: Pick<ConfiguredModel, 'found'>): number {
  const weights = found.files.filter(({ path, weights }) => weights !== undefined || path.endsWith('_data'));
  const fileBytes = weights.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return WORKER_BASE_BYTES + fileBytes * MEMORY_PER_WEIGHT_BYTE;
}

/** What a worker may have of its own before it counts as leaking. */
export function workerLimitBytes(needBytes: number, settingBytes: number, limitBytes: number): number {
  return settingBytes > 0 ? settingBytes : Math.min(limitBytes, 2 * needBytes + 2 * GIB);
}

export interface ModelNeed {
  readonly name: string;
  readonly workers: number;
  readonly needBytes: number;
}

/** Throws a FatalError that names each model's need when together they are more than `limitBytes`. */
export function checkMemory(needs: readonly ModelNeed[], limitBytes: number): void {
  const total = needs.reduce((sum, { workers, needBytes }) => sum + workers * needBytes, SERVER_BASE_BYTES);
  if (total <= limitBytes) return;
  const list = needs.map(({ name, workers, needBytes }) => `${name} ${workers} x ${inGb(needBytes)} GB`).join(', ');
  throw new FatalError(
    'memory',
    `The models need about ${inGb(total)} GB of memory (${list}, the server ${inGb(SERVER_BASE_BYTES)} GB), and there are ${inGb(limitBytes)} GB. ` +
      'Give the container more memory, choose smaller models, or lower WORKERS_*. MEMORY_LIMIT_GB overrides what was found.',
  );
}

function inGb(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}
