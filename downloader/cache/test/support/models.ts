import { type ConfiguredModel, loadManifest, type ModelFile, resolveModel } from '../../src/index.js';

/** The small sentence embedder of the manifest. */
export function sentenceModel(): ConfiguredModel {
  return resolveModel(loadManifest(), 'text', 'fixtures/bge-m3-tiny');
}

/** The cartoon face detector: one plain file whose hash the manifest does not know. */
export function plainModel(): ConfiguredModel {
  return resolveModel(loadManifest(), 'faces', 'heimdex/face-pocket');
}

/** A model like the small sentence embedder, with other files. */
export function modelWith(files: readonly (Partial<ModelFile> & { readonly path: string })[]): ConfiguredModel {
  return { ...sentenceModel(), files: files.map((file) => ({ required: true, ...file })) };
}
