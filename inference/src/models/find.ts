/** The configured models as they lie in the volume, found and checked before anything is started. */
import {
  CacheError,
  type FoundModel,
  inspectModels,
  type ModelEnvironment,
  type OptimizedRecord,
  optimizedSources,
  readLock,
  verifyModel,
} from '@heimdex/cache';
import type { ModelFiles } from './model.js';
import { type FamilyName, SPECS } from './registry.js';
import { ROLES, type Role } from './roles.js';

export interface ConfiguredModel {
  readonly role: Role;
  readonly family: FamilyName;
  readonly files: ModelFiles;
  /** For the full verification. */
  readonly found: FoundModel;
  /** Models that this one's worker runs too; their weights are among `files.weights`. */
  readonly helpers: readonly FoundModel[];
  /** What the lock file records of optimized models of its graphs: no others are used. */
  readonly prepared: readonly OptimizedRecord[];
}

/**
 * Finds every model that the environment asks for. Throws one CacheError that names all that is missing or wrong: role,
 * file, path looked at, variable and the command that mends it.
 */
export async function findModels(environment: ModelEnvironment): Promise<readonly ConfiguredModel[]> {
  const inspections = await inspectModels(environment);
  const problems = inspections.flatMap((inspection) => inspection.problems);
  throwAll(problems);
  const found = inspections.flatMap((inspection) => inspection.found ?? []);
  const records = (await readLock(environment.lockPath))?.prepared ?? [];
  const detector = found.find(({ role }) => role === 'vad');
  return found.flatMap((model) => {
    if (model.role === 'vad') return [];
    return [toConfigured(model, model.role === 'speech' ? detector : undefined, records)];
  });
}

/**
 * Reads every byte of every model and compares its hash. Gives the files of which nothing on the volume says what their bytes
 * must be. Throws like findModels.
 */
export async function verifyModels(
  models: readonly ConfiguredModel[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const results = await Promise.all(
    models
      .flatMap(({ found, helpers }) => [found, ...helpers])
      .map((found) => verifyModel(found, { level: 'full', concurrency: 1, signal })),
  );
  throwAll(results.flatMap(({ problems }) => problems));
  return results.flatMap(({ model, unhashed }) => unhashed.map((path) => `${model.id}: ${path}`));
}

function throwAll(problems: readonly CacheError[]): void {
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw first;
  const message = problems.map((problem) => problem.message).join('\n');
  throw new CacheError(first.code, message, { problems: problems.map((problem) => problem.message) });
}

/** The detector of voice activity is no process of its own: the speech model's worker runs it, as its weights `vad`. */
function toConfigured(
  found: FoundModel,
  detector: FoundModel | undefined,
  records: readonly OptimizedRecord[],
): ConfiguredModel {
  const { id, revision, variant, dir } = found;
  const role = ROLES.find((name) => name === found.role);
  const family = (Object.keys(SPECS) as FamilyName[]).find((name) => name === found.family);
  if (role === undefined || family === undefined) throw new Error(`${found.role} is no role that is served by itself`);
  const vad = detector?.weights.model;
  const weights = vad === undefined ? found.weights : { ...found.weights, vad };
  const externalFiles = found.files.map(({ absolutePath }) => absolutePath);
  const sources = new Set(optimizedSources(found).values());
  const prepared = records.filter(({ source }) => sources.has(source));
  const helpers = detector === undefined ? [] : [detector];
  return { role, family, files: { id, revision, variant, dir, weights, externalFiles }, found, helpers, prepared };
}
