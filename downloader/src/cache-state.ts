import {
  type ConfiguredModel,
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

/** What is wanted and what of it lies on the volume. */
export interface CacheState {
  readonly environment: ModelEnvironment;
  /** The lock file's content; undefined when there is none. */
  readonly lock: ModelsLock | undefined;
  readonly models: readonly ModelState[];
}

/** One configured model. */
export interface ModelState {
  readonly configured: ConfiguredModel;
  /** What the lock file says of it; undefined when it is not locked yet. */
  readonly locked: LockedModel | undefined;
  readonly inspection: ModelInspection;
  /** Paths of files whose bytes were read and found wrong. Empty unless asked for. */
  readonly damaged: ReadonlySet<string>;
}

/** How closely to look. */
export interface CacheStateOptions {
  /** Reads every byte of what is there and compares its hash. */
  readonly readBytes?: boolean;
  /** Looks past the lock file, as if there were none. */
  readonly ignoreLock?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Looks at the volume: names and sizes, no request, no bytes unless asked for.
 *
 * @throws CacheError MANIFEST_INVALID, MODEL_UNKNOWN, LOCK_INVALID.
 */
export async function readCacheState(environment: ModelEnvironment, options: CacheStateOptions): Promise<CacheState> {
  const wanted = resolveModels(environment);
  const lock = await readLock(environment.lockPath);
  const { cacheDir, cacheDirVariable } = environment;
  const { signal } = options;
  const held = options.ignoreLock === true ? undefined : lock;
  const models: ModelState[] = [];
  for (const asked of wanted) {
    const inspection = await inspectModel(cacheDir, asked, { lock: held, cacheDirVariable, signal });
    // Of a name that may mean two layouts, the one that the volume has.
    const { configured } = inspection;
    const damaged = options.readBytes === true ? await damagedFiles(inspection, signal) : new Set<string>();
    models.push({ configured, locked: lockedModel(held, configured), inspection, damaged });
  }
  return { environment, lock, models };
}

/** Whether nothing has to be fetched for a model. */
export function isComplete(model: ModelState): boolean {
  return model.inspection.found !== undefined && model.damaged.size === 0;
}

/** Whether all that a model lacks can be made of what is on the volume, without a request. */
export function needsOnlyCompiling({ inspection, damaged }: ModelState): boolean {
  const { found, checkpoint, problems } = inspection;
  const compiles = problems.every(({ code, file }) => code === 'MODEL_NOT_COMPILED' || isCompiledPath(file ?? ''));
  if (checkpoint === undefined) return false;
  return found === undefined ? damaged.size === 0 && compiles : damaged.size > 0 && [...damaged].every(isCompiledPath);
}

/** The lock's word on a file. */
export function lockedFile(locked: LockedModel | undefined, path: string): LockedFile | undefined {
  return locked?.files.find((file) => file.path === path);
}

async function damagedFiles(inspection: ModelInspection, signal: AbortSignal): Promise<Set<string>> {
  if (inspection.found === undefined) return new Set();
  const { problems } = await verifyModel(inspection.found, { level: 'full', signal });
  return new Set(problems.flatMap((problem) => problem.file ?? []));
}
