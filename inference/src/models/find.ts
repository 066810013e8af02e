/** The configured models as they lie in the volume, found and checked before anything is started. */
import { CacheError, type FoundModel, inspectModels, type ModelEnvironment, verifyModel } from '@heimdex/cache';
import { FAMILIES, type FamilyName, type ModelFiles, ROLES, type Role } from './model.js';

export interface ConfiguredModel {
  readonly role: Role;
  readonly family: FamilyName;
  readonly files: ModelFiles;
  /** For the full verification. */
  readonly found: FoundModel;
}

/**
 * Finds every model that the environment asks for. Throws one CacheError that names all that is missing or wrong: role,
 * file, path looked at, variable and the command that mends it.
 */
export async function findModels(environment: ModelEnvironment): Promise<readonly ConfiguredModel[]> {
  const inspections = await inspectModels(environment);
  const problems = inspections.flatMap((inspection) => inspection.problems);
  throwAll(problems);
  return inspections.flatMap(({ found }) => (found === undefined ? [] : [toConfigured(found)]));
}

/** Reads every byte of every model and compares its hash. Throws like findModels. */
export async function verifyModels(models: readonly ConfiguredModel[], signal: AbortSignal): Promise<void> {
  const results = await Promise.all(
    models.map(({ found }) => verifyModel(found, { level: 'full', concurrency: 1, signal })),
  );
  throwAll(results.flatMap(({ problems }) => problems));
}

function throwAll(problems: readonly CacheError[]): void {
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw first;
  const message = problems.map((problem) => problem.message).join('\n');
  throw new CacheError(first.code, message, { problems: problems.map((problem) => problem.message) });
}

function toConfigured(found: FoundModel): ConfiguredModel {
  const { id, revision, variant, folder, weights } = found;
  const role = ROLES.find((name) => name === found.role);
  const family = FAMILIES.find((name) => name === found.family);
  if (role === undefined || family === undefined) throw new Error(`${found.role} is no role that is served by itself`);
  return { role, family, files: { id, revision, variant, folder, weights }, found };
}
