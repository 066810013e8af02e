/** Finds and checks the configured models on the volume before any process starts. */
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
  /** Models that run in this model's worker; their weights are part of `files.weights`. */
  readonly helpers: readonly FoundModel[];
  /** The lock file's records of this model's optimized models. Unrecorded ones are not used. */
  readonly prepared: readonly OptimizedRecord[];
}

/**
 * Finds all configured models. Throws one CacheError that lists everything missing or wrong: role, file, path, variable
 * and the command that fixes it.
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
 * Reads all files of all models and compares their hashes. Returns the files without a recorded hash to compare with.
 * Throws like findModels.
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

/** The voice activity detector has no process: the speech model's worker runs it from its weights `vad`. */
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
