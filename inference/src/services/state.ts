/** The server's health state: the single source for gRPC health, GET /health and the probes. */
import { EventEmitter } from 'node:events';
import { InferenceService } from '@heimdex/gen';
import type { Role } from '../models/roles.js';
import type { Models, ServedModel } from './engine.js';
import { enabledMethods, METHOD_ROLES, type MethodName } from './features.js';

export type ServerStatus = 'starting' | 'healthy' | 'unhealthy' | 'draining';

export interface ServerReport {
  readonly status: ServerStatus;
  /** Why it is not healthy; empty if it is. */
  readonly reason: string;
  /** Health names of the models with a ready worker. */
  readonly modelsLoaded: readonly string[];
}

export class ServerState {
  readonly #models: Models;
  readonly #everReady = new Set<Role>();
  #draining = false;
  #filesVerified = false;
  #refusing: string | undefined;
  #last = '';
  /** Emits `change` when the report or a status has changed. Each watcher listens. */
  readonly changes = new EventEmitter<{ change: [] }>().setMaxListeners(0);

  constructor(models: Models) {
    this.#models = models;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Marks the model files as verified; until then nothing is healthy. */
  filesVerified(): void {
    this.#filesVerified = true;
    this.update();
  }

  drain(): void {
    this.#draining = true;
    this.update();
  }

  /** Sets why all calls are refused; undefined: they are admitted. */
  refuse(reason: string | undefined): void {
    this.#refusing = reason;
    this.update();
  }

  /** Must be called when the set of workers changes. */
  update(): void {
    for (const { role, modelQueue } of this.#models.values()) if (modelQueue.workers > 0) this.#everReady.add(role);
    const now = JSON.stringify([this.report(), [...this.statuses()]]);
    if (now === this.#last) return;
    this.#last = now;
    this.changes.emit('change');
  }

  report(): ServerReport {
    const models = [...this.#models.values()];
    const namesOf = (some: readonly ServedModel[]) => some.map(({ healthName }) => healthName);
    const modelsLoaded = namesOf(models.filter(({ modelQueue }) => modelQueue.workers > 0));
    const report = (status: ServerStatus, reason: string) => ({ status, reason, modelsLoaded });
    if (this.#draining) return report('draining', 'the server is shutting down');
    if (this.#refusing !== undefined) return report('unhealthy', this.#refusing);
    const missing = models.filter(({ modelQueue }) => modelQueue.workers === 0);
    const lost = missing.filter(({ role }) => this.#everReady.has(role));
    if (lost.length > 0) return report('unhealthy', `restarting: ${namesOf(lost).join(', ')}`);
    if (missing.length > 0) return report('starting', `still loading: ${namesOf(missing).join(', ')}`);
    if (!this.#filesVerified) return report('starting', 'still verifying the model files');
    return report('healthy', '');
  }

  /** Returns the health service names with whether each can be served now. */
  statuses(): ReadonlyMap<string, boolean> {
    const healthy = this.report().status === 'healthy';
    const service = InferenceService.typeName;
    const statuses = new Map<string, boolean>([
      ['', healthy],
      [service, healthy],
    ]);
    for (const method of enabledMethods(this.#models)) statuses.set(`${service}/${method}`, this.#canServe(method));
    return statuses;
  }

  #canServe(method: MethodName): boolean {
    const open = this.#filesVerified && !this.#draining && this.#refusing === undefined;
    return open && METHOD_ROLES[method].every((role) => this.#models.get(role)?.modelQueue.workers !== 0);
  }
}
