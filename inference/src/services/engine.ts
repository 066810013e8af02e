/** What the methods know of the models behind them. */
import type { BatchPolicy } from '@heimdex/gen';
import type { FamilySpec, ModelFiles } from '../models/model.js';
import type { FamilyName } from '../models/registry.js';
import type { Role } from '../models/roles.js';
import type { ModelQueue } from '../scheduling/model-queue.js';

/** A configured model, loaded or loading. */
export interface ServedModel {
  readonly role: Role;
  readonly family: FamilyName;
  /** As `models_loaded` of /health names it. */
  readonly healthName: string;
  readonly files: ModelFiles;
  /** The items' types are the role's; models/items.ts and the speech families' window.ts say which. */
  readonly modelQueue: ModelQueue<unknown, unknown>;
  readonly device: 'cpu' | 'cuda';
  readonly workers: number;
  readonly threads: number;
  /** Most that the items of a run may cost together, in `costUnit`. */
  readonly batchCost: number;
  readonly costUnit: FamilySpec<never>['costUnit'];
  /** What the loaded model says of itself. */
  readonly facts: ModelSummary | undefined;
  readonly loadSeconds: number;
  memoryBytes(): Promise<number>;
}

export interface ModelSummary {
  readonly dimensions: number;
  readonly batching: Pick<BatchPolicy, 'shared' | 'maxItems' | 'reason'>;
}

/** What a call may ask for at most. */
export interface ServiceLimits {
  readonly maxMessageBytes: number;
  readonly maxBatchItems: number;
  readonly maxAudioSeconds: number;
  readonly maxImagePixels: number;
  readonly maxQueue: number;
  /** Longest time a stream's next message is waited for. */
  readonly streamIdleMs: number;
}

export type Models = ReadonlyMap<Role, ServedModel>;
