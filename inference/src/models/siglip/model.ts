import type { ImageItem, TextItem, VectorResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFiles } from '../model.js';

/** Loads the weights that `files` names. Throws when one of them is no model of this family. */
export async function load(
  files: ModelFiles,
  _options: LoadOptions,
): Promise<LoadedModel<ImageItem | TextItem, VectorResult>> {
  throw new Error(`${files.id} cannot be loaded yet`);
}
