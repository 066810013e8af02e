import { InferenceError } from '../../errors.js';
import type { Transcriber } from '../speech.js';
import type { MoonshineResult, MoonshineWindow } from './window.js';

/** One recording through Moonshine, utterance by utterance. */
// biome-ignore lint/correctness/useYield: not written yet
export const transcribeWithMoonshine: Transcriber<MoonshineWindow, MoonshineResult> = async function* () {
  throw new InferenceError('INTERNAL', 'Moonshine is not written yet.');
};
