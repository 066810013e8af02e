import { InferenceError } from '../../errors.js';
import type { Transcriber } from '../speech.js';
import type { WhisperResult, WhisperWindow } from './window.js';

/** One recording through Whisper, window by window. */
// biome-ignore lint/correctness/useYield: not written yet
export const transcribeWithWhisper: Transcriber<WhisperWindow, WhisperResult> = async function* () {
  throw new InferenceError('INTERNAL', 'Whisper is not written yet.');
};
