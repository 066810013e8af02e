import { InferenceError } from '../../errors.js';
import type { LoadedModel, LoadOptions, ModelFiles } from '../model.js';
import type { WhisperResult, WhisperWindow } from './window.js';

/** Loads Whisper: weights `encoder` and `decoder`, and where it is there `vad`. */
export async function load(
  _files: ModelFiles,
  _options: LoadOptions,
): Promise<LoadedModel<WhisperWindow, WhisperResult>> {
  throw new InferenceError('INTERNAL', 'Whisper is not written yet.');
}
