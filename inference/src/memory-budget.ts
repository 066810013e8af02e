/** Estimates whether the models fit into memory before any of them is loaded. Pure. */
import { GIB, MIB } from '@heimdex/common';
import { FatalError } from './exit-codes.js';
import type { ConfiguredModel } from './models/find.js';

/** A Node.js process with onnxruntime, without a model. */
const WORKER_BASE_BYTES = 120 * MIB;
/** The serving process. */
export const SERVER_BASE_BYTES = 150 * MIB;
/** Memory per byte of weight files: prepacked weights and the buffers of a run. Measured: 1.4 to 1.6. */
const MEMORY_PER_WEIGHT_BYTE = 1.5;

/** Returns the memory that a worker of a model needs, from the size of its weights. */
export function workerNeedBytes({ found }: Pick<ConfiguredModel, 'found'>): number {
  const weights = found.files.filter(({ path, weights }) => weights !== undefined || path.endsWith('_data'));
  const fileBytes = weights.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return WORKER_BASE_BYTES + fileBytes * MEMORY_PER_WEIGHT_BYTE;
}

/** Returns the private memory above which a worker counts as leaking. */
export function workerLimitBytes(needBytes: number, settingBytes: number, limitBytes: number): number {
  return settingBytes > 0 ? settingBytes : Math.min(limitBytes, 2 * needBytes + 2 * GIB);
}

export interface ModelNeed {
  readonly name: string;
  readonly workers: number;
  readonly needBytes: number;
}

/** Throws a FatalError that lists each model's need if the total exceeds `limitBytes`. */
export function checkMemory(needs: readonly ModelNeed[], limitBytes: number): void {
  const total = needs.reduce((sum, { workers, needBytes }) => sum + workers * needBytes, SERVER_BASE_BYTES);
  if (total <= limitBytes) return;
  const list = needs.map(({ name, workers, needBytes }) => `${name} ${workers} x ${inGb(needBytes)} GB`).join(', ');
  throw new FatalError(
    'memory',
    `The models need about ${inGb(total)} GB of memory (${list}, the server ${inGb(SERVER_BASE_BYTES)} GB), but only ${inGb(limitBytes)} GB are available. ` +
      'Give the container more memory, choose smaller models, or lower WORKERS_*. MEMORY_LIMIT_GB overrides the detected limit.',
  );
}

function inGb(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}
