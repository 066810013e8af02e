import type { ContentHash } from '@heimdex/cache';
import { formatBytes, type JsonObject, sumSizes } from '@heimdex/common';
import type { ModelState } from './cache-state.js';
import type { RemoteFile, RemoteFiles } from './remote-files.js';
import type { ByteSource } from './transfer/source.js';

/** The steps from the present to the configured state of the volume. Plain data. */
export interface Plan {
  /** Models that are complete. */
  readonly complete: readonly ModelState[];
  /** Models whose checkpoint is on the volume and only has to be compiled. */
  readonly compile: readonly CheckpointState[];
  readonly models: readonly PlannedModel[];
  /** Each once, though several models may share it. */
  readonly blobs: readonly PlannedBlob[];
}

/** State of a model whose checkpoint is on the volume. */
export interface CheckpointState extends ModelState {
  /** Its config.json; undefined if it could not be read. */
  readonly config: JsonObject | undefined;
}

/** An incomplete model. */
export interface PlannedModel {
  readonly remoteFiles: RemoteFiles;
  readonly files: readonly PlannedFile[];
}

/** One file of a model and its blob. */
export interface PlannedFile {
  readonly offered: RemoteFile;
  readonly blob: PlannedBlob;
}

/** One blob and how to get it to its final path. */
export interface PlannedBlob {
  /** For messages: repository and path. */
  readonly label: string;
  /** Path in the repository. */
  readonly path: string;
  readonly finalPath: string;
  readonly lockPath: string;
  /** Undefined if unknown before the first byte. */
  readonly sizeBytes: number | undefined;
  readonly hash: ContentHash;
  readonly sources: readonly ByteSource[];
  /**
   * `keep`: present and trusted. `verify`: present, but not put there by this program for this model: its bytes are verified
   * once. `fetch`: missing or wrong.
   */
  readonly action: 'keep' | 'verify' | 'fetch';
  /** Bytes of an earlier run to resume; 0 if the size is unknown. */
  readonly resumableBytes: number;
}

/** Returns the plan for some of its models, with their blobs alone. */
export function withModels(plan: Plan, models: Plan['models']): Plan {
  const needed = new Set(models.flatMap(({ files }) => files.map(({ blob }) => blob)));
  return { ...plan, models, blobs: plan.blobs.filter((blob) => needed.has(blob)) };
}

/** Costs of a plan. */
export interface PlanTotals {
  readonly fetchFiles: number;
  /** Bytes to fetch over the network. Files of unknown size count as 0. */
  readonly fetchBytes: number;
  /** Bytes resumed from earlier runs. */
  readonly resumedBytes: number;
  /** Files and bytes that are on the volume already. */
  readonly presentFiles: number;
  readonly presentBytes: number;
}

/** Formats the bytes to fetch, and how many files are not in them because their size is unknown. */
export function fetchText(plan: Plan): string {
  const { fetchBytes } = totalsOf(plan);
  const unknown = plan.blobs.filter(({ action, sizeBytes }) => action === 'fetch' && sizeBytes === undefined).length;
  return `${formatBytes(fetchBytes)}${unknown === 0 ? '' : ` (${unknown} of unknown size)`}`;
}

/** Sums up a plan. */
export function totalsOf({ blobs, complete, compile }: Plan): PlanTotals {
  const fetched = blobs.filter(({ action }) => action === 'fetch');
  const inspected = [...complete, ...compile].flatMap(({ inspection: { present, checkpoint } }) => [
    ...present,
    ...(checkpoint?.files ?? []),
  ]);
  const present = [...blobs.filter(({ action }) => action !== 'fetch'), ...inspected];
  const resumedBytes = fetched.reduce((sum, { resumableBytes }) => sum + resumableBytes, 0);
  return {
    fetchFiles: fetched.length,
    fetchBytes: sumSizes(fetched) - resumedBytes,
    resumedBytes,
    presentFiles: present.length,
    presentBytes: sumSizes(present),
  };
}
