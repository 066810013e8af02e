/** Loads a family in a worker. Dynamic imports keep other families, and in the server all families, out of memory. */
import type { LoadedModel, LoadOptions, ModelFiles } from './model.js';
import type { FamilyName } from './registry.js';

export type Loader = (files: ModelFiles, options: LoadOptions) => Promise<LoadedModel<unknown, unknown>>;

/** Services create items of the family's type; the type is lost on the pipe. */
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
