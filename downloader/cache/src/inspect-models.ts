/** Inspects every configured model, as the server does at startup. */
import type { ModelInspection } from './found-model.js';
import { inspectModel } from './inspect-model.js';
import { readLock } from './lock-file.js';
import type { ModelEnvironment } from './model-environment.js';
import { resolveModels } from './resolve-models.js';

/**
 * Inspects every configured model, against the lock file if there is one. Throws only errors that concern all models:
 * MANIFEST_INVALID, MODEL_UNKNOWN, LOCK_INVALID.
 */
export async function inspectModels(environment: ModelEnvironment): Promise<ModelInspection[]> {
  const lock = await readLock(environment.lockPath);
  const { cacheDir, cacheDirVariable } = environment;
  return Promise.all(
    resolveModels(environment).map((configured) => inspectModel(cacheDir, configured, { lock, cacheDirVariable })),
  );
}
