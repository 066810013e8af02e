/** Chooses workers, threads and the batch limit per model from the machine's cores and memory. Pure. */
import { MIB } from '@heimdex/common';
import type { Config } from '../config/config.js';
import type { BatchSpec } from '../models/model.js';
import { deviceOf, ROLE_SPECS, ROLES, type Role } from '../models/roles.js';
import type { Machine } from './machine.js';
import { SERVER_BASE_BYTES } from './memory-budget.js';

/** Maximum number of workers by default; more must be configured. */
const MAX_WORKERS = 8;
/**
 * Threads of all workers of a model per core. Waiting threads hardly spin: twice as many threads as cores cost little under
 * load, and a single caller gets all cores for each run.
 */
const THREADS_PER_CORE = 2;
/**
 * A model that needs no more than this runs on one thread per core: the second thread's wake-ups cost more than it saves, for a
 * lone caller too (MiniLM in 8 bits, 155 MiB: 3.2 ms a run instead of 3.9, 453 texts/s instead of 421; siglip-pocket, 137 MiB: a tenth
 * less CPU an image; bench/serving, bench/vision). An image is more tokens than a text, so its model must be smaller.
 */
const SMALL_MODEL_BYTES: Partial<Record<Role, number>> = { text: 184 * MIB, vision: 144 * MIB };
/** Maximum fraction of the memory that additional workers may use. */
const MAX_MEMORY_FRACTION = 0.75;
/** Maximum fraction of the free memory that runs may use. */
const MAX_RUN_FRACTION = 0.5;
/** Memory reserved per worker, as a multiple of its need: it grows with large requests. Measured: up to twice. */
const RESERVE_FACTOR = 2;
const RESERVE_BYTES = 128 * MIB;

export interface WorkerSize {
  readonly workers: number;
  /** Threads of a run that has the cores for itself. */
  readonly threads: number;
  /** Threads of a run while others need the cores too. */
  readonly sharedThreads: number;
  /** Workers with `threads`, as many as have a core for each; the others, which run while these are busy, have `sharedThreads`. At least 1. */
  readonly wideWorkers: number;
  /** Maximum total cost per run, in the family's unit. A single item always runs, whatever its cost. */
  readonly batchCost: number;
}

export interface SizedModel {
  readonly role: Role;
  /** Minimum memory of a worker. */
  readonly needBytes: number;
  readonly batch: BatchSpec;
}

/**
 * Chooses the size of each model's workers. Every model gets one worker (memory-budget.ts checks whether that fits). Then each
 * in turn gets another one while cores and memory allow; configured values are used unchanged. `memoryBytes` is the server's
 * memory limit.
 */
export function chooseWorkers(
  models: readonly SizedModel[],
  config: Pick<Config, 'batchCosts' | 'device' | 'threads' | 'workers'>,
  { cores, memoryBytes }: Machine,
): ReadonlyMap<Role, WorkerSize> {
  const maxCount = (model: SizedModel) => {
    if (deviceOf(model.role, config.device) !== 'cpu') return 1;
    return maxWorkers(cores, isSmall(model) ? 1 : ROLE_SPECS[model.role].maxThreads);
  };
  const counts = new Map(models.map(({ role }) => [role, config.workers[role] ?? 1]));
  const inTurn = ROLES.flatMap((role) => models.filter((model) => model.role === role));
  let used =
    SERVER_BASE_BYTES + inTurn.reduce((sum, model) => sum + (counts.get(model.role) ?? 1) * reservedBytes(model), 0);
  for (let count = 2; count <= MAX_WORKERS; count += 1) {
    for (const model of inTurn.filter((one) => count <= maxCount(one))) {
      const increased = used + reservedBytes(model);
      if (config.workers[model.role] !== undefined || increased > memoryBytes * MAX_MEMORY_FRACTION) continue;
      counts.set(model.role, count);
      used = increased;
    }
  }
  const total = [...counts.values()].reduce((sum, workers) => sum + workers, 0);
  const needed = models.reduce((sum, { role, needBytes }) => sum + (counts.get(role) ?? 1) * needBytes, 0);
  const freeBytes = Math.max(0, memoryBytes - SERVER_BASE_BYTES - needed) / total;
  const sizes = models.map((model) => {
    const { role, needBytes, batch } = model;
    const workers = counts.get(role) ?? 1;
    const threads = config.threads ?? threadsOf(model, workers, cores);
    const affordable = (freeBytes * MAX_RUN_FRACTION) / batch.bytesPerCost(needBytes);
    const maxCost = Math.max(1, Math.floor(Math.min(batch.maxCost(threads), affordable)));
    const batchCost = config.batchCosts[role] ?? maxCost;
    const divides = config.threads === undefined && ROLE_SPECS[role].dividesCores;
    const sharedThreads = divides ? Math.min(threads, Math.ceil(cores / workers)) : threads;
    const wideWorkers = divides ? Math.max(1, Math.min(workers, Math.floor(cores / threads))) : workers;
    return [role, { workers, threads, sharedThreads, wideWorkers, batchCost }] as const;
  });
  return new Map(sizes);
}

function maxWorkers(cores: number, maxThreads: number): number {
  const share = Math.floor((cores * THREADS_PER_CORE) / Math.min(cores, maxThreads));
  return Math.min(MAX_WORKERS, cores, share);
}

function threadsOf(model: SizedModel, workers: number, cores: number): number {
  const threads = isSmall(model) ? cores : cores * THREADS_PER_CORE;
  return Math.max(1, Math.min(cores, ROLE_SPECS[model.role].maxThreads, Math.floor(threads / workers)));
}

function isSmall({ role, needBytes }: SizedModel): boolean {
  return needBytes <= (SMALL_MODEL_BYTES[role] ?? 0);
}

function reservedBytes({ needBytes }: SizedModel): number {
  return RESERVE_FACTOR * needBytes + RESERVE_BYTES;
}
