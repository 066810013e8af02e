/** Workers and threads of the configured models on a machine, chosen alike by the server and by `prepare`. */
import type { Config } from '../config/config.js';
import type { ConfiguredModel } from '../models/find.js';
import { SPECS } from '../models/registry.js';
import { deviceOf, type Role } from '../models/roles.js';
import type { Machine } from './machine.js';
import { type MemoryNeed, memoryNeed } from './memory-need.js';
import { chooseWorkers, type WorkerSize } from './sizing.js';

/** Memory that a worker of the model needs. */
export function needOf({ found, role }: ConfiguredModel, { device }: Pick<Config, 'device'>): MemoryNeed {
  return memoryNeed(found, deviceOf(role, device));
}

/** The configured memory limit, or that of the machine. */
export function memoryLimitOf({ memoryLimitBytes }: Pick<Config, 'memoryLimitBytes'>, machine: Machine): number {
  return memoryLimitBytes > 0 ? memoryLimitBytes : machine.memoryBytes;
}

/** Chooses the sizes. Does not check that the models fit into memory. */
export function sizesOf(
  models: readonly ConfiguredModel[],
  config: Config,
  machine: Machine,
): ReadonlyMap<Role, WorkerSize> {
  const needs = models.map((model) => {
    const { ownBytes, mappedBytes } = needOf(model, config);
    return { role: model.role, needBytes: ownBytes + mappedBytes, batch: SPECS[model.family].batch };
  });
  return chooseWorkers(needs, config, { cores: machine.cores, memoryBytes: memoryLimitOf(config, machine) });
}
