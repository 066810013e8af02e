/** How a worker loads a family. Imports are dynamic: a worker has only its own family, and the server none, in memory. */
import type { LoadedModel, LoadOptions, ModelFiles } from './model.js';
import type { FamilyName } from './registry.js';

export type Loader = (files: ModelFiles, options: LoadOptions) => Promise<LoadedModel<unknown, unknown>>;

/** Items come from the services, which make what the family takes; the pipe between forgets their type. */
type TypedLoader = (files: ModelFiles, options: LoadOptions) => Promise<LoadedModel<never, unknown>>;

function erase(loader: TypedLoader): Loader {
  return async (files, options) =>
    (await loader(files, { ...options, externalFiles: files.externalFiles })) as LoadedModel<unknown, unknown>;
}

export const LOADERS = {
  whisper: erase(async (...args) => (await import('./whisper/model.js')).load(...args)),
  moonshine: erase(async (...args) => (await import('./moonshine/model.js')).load(...args)),
  siglip: erase(async (...args) => (await import('./siglip/model.js')).load(...args)),
  sentence: erase(async (...args) => (await import('./sentence/model.js')).load(...args)),
  yunet: erase(async (...args) => (await import('./yunet/model.js')).load(...args)),
} as const satisfies Record<FamilyName, Loader>;
