import { InferenceError } from '../../errors.js';
import type { LoadedModel, LoadOptions, ModelFiles } from '../model.js';
import type { MoonshineResult, MoonshineWindow } from './window.js';

/** Loads Moonshine: weights `encoder` and `decoder`, and where it is there `vad`. */
export async function load(
  _files: ModelFiles,
  _options: LoadOptions,
): Promise<LoadedModel<MoonshineWindow, MoonshineResult>> {
  throw new InferenceError('INTERNAL', 'Moonshine is not written yet.');
}
