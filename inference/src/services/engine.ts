/** The models and limits as the methods see them, and what a method is. */
import type { InferenceService } from '@heimdex/gen';
import type { Config } from '../config/config.js';
import type { FamilySpec, ModelFacts, ModelFiles } from '../models/model.js';
import type { FamilyName } from '../models/registry.js';
import type { Role } from '../models/roles.js';
import type { ModelQueue } from '../scheduling/model-queue.js';
import type { MethodHandler } from './service.js';

/** A configured model, loading or loaded. */
export interface ServedModel {
  readonly role: Role;
  readonly family: FamilyName;
  /** Its name in `models_loaded` of /health. */
  readonly healthName: string;
  readonly files: ModelFiles;
  /** The item and result types depend on the role: see models/items.ts and the window.ts of each speech family. */
  readonly modelQueue: ModelQueue<unknown, unknown>;
  readonly device: 'cpu' | 'cuda';
  readonly workers: number;
  readonly threads: number;
  /** Maximum total cost per run, in `costUnit`. */
  readonly batchCost: number;
  readonly costUnit: FamilySpec<never>['costUnit'];
  /** Facts of the loaded model; undefined while it loads. */
  readonly facts: ModelFacts | undefined;
  readonly loadSeconds: number;
  memoryBytes(): Promise<number>;
}

/** Limits per call. */
export type ServiceLimits = Omit<Config['limits'], 'maxQueueMs'>;

export type Models = ReadonlyMap<Role, ServedModel>;

/** The handler of an rpc of InferenceService. */
export type RpcHandler<Name extends keyof (typeof InferenceService)['method']> = MethodHandler<
  (typeof InferenceService)['method'][Name]
>;
