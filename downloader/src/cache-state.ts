import {
  type CacheError,
  type ConfiguredModel,
  type FoundFile,
  inspectModel,
  isCompiledPath,
  type LockedFile,
  type LockedModel,
  lockedModel,
  type ModelEnvironment,
  type ModelInspection,
  type ModelsLock,
  readLock,
  resolveModels,
  verifyModel,
} from '@heimdex/cache';

/** The configured models and their state on the volume. */
export interface CacheState {
  readonly environment: ModelEnvironment;
  /** Content of the lock file; undefined if there is none. */
  readonly lock: ModelsLock | undefined;
  readonly models: readonly ModelState[];
}

/** State of one configured model. */
export interface ModelState {
  readonly configured: ConfiguredModel;
  /** The lock file's entry; undefined if the model is not locked. */
  readonly locked: LockedModel | undefined;
  readonly inspection: ModelInspection;
  /** Paths of files to fetch again: those whose bytes were read and do not match, and those that `withListedFiles` adds. */
  readonly damaged: ReadonlySet<string>;
  /** The commit on the volume, of a model of which only these are fetched: unless it is locked, it is not moved to a newer one. */
  readonly keptCommit?: string;
}

/** How thoroughly to inspect the volume. */
export interface CacheStateOptions {
  /** Reads every byte on the volume and compares hashes. */
  readonly readBytes?: boolean;
  /** Ignores the lock file. */
  readonly ignoreLock?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Inspects the volume: names and sizes, no requests, and no file contents unless `readBytes` is set.
 * Throws CacheError MANIFEST_INVALID, MODEL_UNKNOWN, LOCK_INVALID.
 */
export async function readCacheState(environment: ModelEnvironment, options: CacheStateOptions): Promise<CacheState> {
  const configuredModels = resolveModels(environment);
  const lock = await readLock(environment.lockPath);
  const { cacheDir, cacheDirVariable } = environment;
  const { signal } = options;
  const held = options.ignoreLock === true ? undefined : lock;
  const models: ModelState[] = [];
  for (const requested of configuredModels) {
    const inspect = (required: ModelsLock | undefined) =>
      inspectModel(cacheDir, requested, { lock: required, known: lock, cacheDirVariable, signal });
    let inspection = await inspect(held);
    // The branch may have moved without this model: by Python, or by an update of another precision.
    if (options.ignoreLock === true && inspection.found === undefined) {
      const locked = await inspect(lock);
      if (locked.found !== undefined) inspection = locked;
    }
    // A name that may mean two layouts resolves to the one on the volume, unless the hub is asked what it means now.
    const isSecond = inspection.configured === requested.otherwise;
    const configured =
      isSecond && options.ignoreLock === true
        ? { ...inspection.configured, otherwise: requested }
        : inspection.configured;
    const damaged = options.readBytes === true ? await damagedFiles(inspection, lock, signal) : new Set<string>();
    models.push(withDamaged({ configured, locked: lockedModel(held, configured), inspection, damaged }, damaged));
  }
  return { environment, lock, models };
}

/** Returns the state of a model with these files to fetch again: at its commit on the volume, unless the lock file has another. */
export function withDamaged(state: ModelState, damaged: ReadonlySet<string>): ModelState {
  const { configured, inspection } = state;
  const { revision } = inspection;
  const isKept = damaged.size > 0 && isWhole(inspection) && revision !== undefined && configured.layout !== 'plain';
  return { ...state, damaged, ...(isKept ? { keptCommit: revision } : {}) };
}

/** Returns whether a model has everything it needs on the volume. */
export function isComplete(model: ModelState): boolean {
  return model.inspection.found !== undefined && model.damaged.size === 0;
}

/** Returns whether a model only has to be compiled from files on the volume, without a request. */
export function needsOnlyCompiling({ inspection, damaged }: ModelState): boolean {
  const { found, checkpoint } = inspection;
  if (found === undefined) return damaged.size === 0 && isWhole(inspection);
  return checkpoint !== undefined && damaged.size > 0 && [...damaged].every(isCompiledPath);
}

/** Whether no file of a model is missing, except of what is compiled from its checkpoint on the volume. */
function isWhole({ found, checkpoint, problems }: ModelInspection): boolean {
  const isOfCompiled = ({ code, file = '' }: CacheError) => code === 'MODEL_NOT_COMPILED' || isCompiledPath(file);
  return found !== undefined || (checkpoint !== undefined && problems.every(isOfCompiled));
}

/** Returns whether files of a model have to be fetched. */
export function needsFetching(model: ModelState): boolean {
  return !isComplete(model) && !needsOnlyCompiling(model);
}

/** Returns the lock file's entry of a file. */
export function lockedFile(locked: LockedModel | undefined, path: string): LockedFile | undefined {
  return locked?.files.find((file) => file.path === path);
}

/**
 * Returns the files of a checkpoint that this program downloaded: the lock file has each of them, in a model that is not `found`. A
 * checkpoint that another program left is never changed.
 */
export function ownCheckpoint({ repository, checkpoint }: ModelInspection, lock: ModelsLock | undefined): FoundFile[] {
  const files = checkpoint?.files.filter(({ blobId }) => blobId !== undefined) ?? [];
  const isOwn = lock?.models.some(
    (model) =>
      model.repository === repository &&
      model.found !== true &&
      files.every(({ path }) => lockedFile(model, path) !== undefined),
  );
  return isOwn === true ? files : [];
}

async function damagedFiles(
  inspection: ModelInspection,
  lock: ModelsLock | undefined,
  signal: AbortSignal,
): Promise<Set<string>> {
  // Also of a model that lacks others, or is not compiled.
  const { present, configured, revision = '' } = inspection;
  const files = [...present, ...ownCheckpoint(inspection, lock)];
  const model = { ...configured, revision, weights: {}, files };
  const { problems } = await verifyModel(model, { level: 'full', signal });
  return new Set(problems.flatMap((problem) => problem.file ?? []));
}
