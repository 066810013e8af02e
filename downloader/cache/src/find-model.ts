/** What the server starts with: every configured model found and checked, or a reason. */
import { CacheError } from './errors.js';
import type { FoundModel, ModelInspection } from './found-model.js';
import { type InspectOptions, inspectModel } from './inspect-model.js';
import { readLock } from './lock-file.js';
import type { ConfiguredModel } from './manifest-types.js';
import type { ModelEnvironment } from './model-environment.js';
import { resolveModels } from './resolve-models.js';

/**
 * Finds a model in the cache and checks presence, sizes and identities of its files. Throws the first problem as a
 * CacheError: CACHE_MISSING, CACHE_UNREADABLE, MODEL_MISSING, FILE_MISSING, FILE_EMPTY, FILE_UNREADABLE,
 * FILE_SIZE_WRONG or FILE_HASH_WRONG; its `problems` has the messages of all.
 */
export async function findModel(
  cacheDir: string,
  configured: ConfiguredModel,
  options: InspectOptions = {},
): Promise<FoundModel> {
  const inspection = await inspectModel(cacheDir, configured, options);
  if (inspection.found !== undefined) return inspection.found;
  const [first] = inspection.problems;
  if (first === undefined) throw new CacheError('MODEL_MISSING', `The model ${configured.id} was not found`);
  if (inspection.problems.length === 1) throw first;
  throw new CacheError(first.code, `${first.message} (and ${inspection.problems.length - 1} more of its files)`, {
    ...definedOf({
      role: first.role,
      model: first.model,
      file: first.file,
      path: first.path,
      variable: first.variable,
      command: first.command,
    }),
    problems: inspection.problems.map((problem) => problem.message),
  });
}

/**
 * Inspects every model that the environment asks for, held to the lock file when there is one. Throws only what makes
 * all of them unknowable: MANIFEST_INVALID, MODEL_UNKNOWN, LOCK_INVALID.
 */
export async function inspectModels(environment: ModelEnvironment, signal?: AbortSignal): Promise<ModelInspection[]> {
  const lock = await readLock(environment.lockPath);
  const { cacheDir, cacheDirVariable } = environment;
  return Promise.all(
    resolveModels(environment).map((configured) =>
      inspectModel(cacheDir, configured, { lock, cacheDirVariable, signal }),
    ),
  );
}

function definedOf<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Key in keyof Value]: Exclude<Value[Key], undefined>;
  };
}
