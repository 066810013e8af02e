/** What the server starts with: a look at every configured model. */
import type { ModelInspection } from './found-model.js';
import { inspectModel } from './inspect-model.js';
import { readLock } from './lock-file.js';
import type { ModelEnvironment } from './model-environment.js';
import { resolveModels } from './resolve-models.js';

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
