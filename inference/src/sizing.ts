/** How many workers of how many threads each model gets, and how much may share a run, by the machine. Pure. */
import { MIB } from '@heimdex/common';
import { batchBudget } from './batch-budget.js';
import type { Config } from './config.js';
import type { Machine } from './machine.js';
import { SERVER_BASE_BYTES } from './memory-budget.js';
import type { BatchSpec } from './models/model.js';
import { ROLE_SPECS, ROLES, type Role } from './models/roles.js';

/** More workers than this are for whoever runs the server to ask for. */
const MAX_WORKERS = 8;
/**
 * Threads of all workers of a model over the cores there are. Threads that wait do not spin, so twice as many as cores cost
 * little under load, and a lone caller has the cores for each run.
 */
const THREADS_PER_CORE = 2;
/** The part of all memory that workers beside the first ones may fill. */
const MAX_OF_MEMORY = 0.75;
/** What a worker may grow to beside its need: large requests, and what the runtime keeps of them. Measured: up to twice. */
const ROOM_PER_NEED = 2;
const ROOM_BYTES = 128 * MIB;

export interface WorkerSize {
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
  /** Most that the items of a run may cost together, in the family's unit. */
  readonly batchCost: number;
}

export interface SizedModel {
  readonly role: Role;
  /** What one worker needs at least. */
  readonly needBytes: number;
  readonly batch: BatchSpec;
}

/**
 * Every model gets one worker, whatever there is (memory-budget.ts says whether that fits). Then, in turns, each gets another
 * one as long as cores and memory allow; what a variable says is taken as it is. `memoryBytes` is what the server may use.
 */
export function chooseWorkers(
  models: readonly SizedModel[],
  config: Pick<Config, 'batchCosts' | 'device' | 'threads' | 'workers'>,
  { cores, memoryBytes }: Machine,
): ReadonlyMap<Role, WorkerSize> {
  const most = (role: Role) => (config.device === 'cpu' ? maxWorkers(cores, ROLE_SPECS[role].maxThreads) : 1);
  const counts = new Map(models.map(({ role }) => [role, config.workers[role] ?? 1]));
  const inTurn = ROLES.flatMap((role) => models.filter((model) => model.role === role));
  let used = SERVER_BASE_BYTES + inTurn.reduce((sum, model) => sum + (counts.get(model.role) ?? 1) * roomOf(model), 0);
  for (let count = 2; count <= MAX_WORKERS; count += 1) {
    for (const model of inTurn.filter(({ role }) => count <= most(role))) {
      const more = used + roomOf(model);
      if (config.workers[model.role] !== undefined || more > memoryBytes * MAX_OF_MEMORY) continue;
      counts.set(model.role, count);
      used = more;
    }
  }
  const total = [...counts.values()].reduce((sum, workers) => sum + workers, 0);
  const needed = models.reduce((sum, { role, needBytes }) => sum + (counts.get(role) ?? 1) * needBytes, 0);
  const freeBytes = Math.max(0, memoryBytes - SERVER_BASE_BYTES - needed) / total;
  const sizes = models.map(({ role, needBytes, batch }) => {
    const workers = counts.get(role) ?? 1;
    const threads = config.threads ?? threadsOf(workers, cores, ROLE_SPECS[role].maxThreads);
    const batchCost = config.batchCosts[role] ?? batchBudget({ batch, threads, needBytes, freeBytes });
    return [role, { workers, threads, batchCost }] as const;
  });
  return new Map(sizes);
}

function maxWorkers(cores: number, maxThreads: number): number {
  const share = Math.floor((cores * THREADS_PER_CORE) / Math.min(cores, maxThreads));
  return Math.min(MAX_WORKERS, cores, share);
}

function threadsOf(workers: number, cores: number, maxThreads: number): number {
  const share = Math.floor((cores * THREADS_PER_CORE) / workers);
  return Math.max(1, Math.min(cores, maxThreads, share));
}

function roomOf({ needBytes }: SizedModel): number {
  return ROOM_PER_NEED * needBytes + ROOM_BYTES;
}
