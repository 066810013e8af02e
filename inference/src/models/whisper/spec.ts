import type { FamilySpec } from '../model.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../speech.js';
import type { WhisperWindow } from './window.js';

/** Whisper: speech in 99 languages, with times, translated into English on demand. */
export const whisperSpec: FamilySpec<WhisperWindow> = {
  family: 'whisper',
  healthName: 'whisper',
  cost: (item) => item.samples.length / SPEECH_SAMPLE_RATE_HZ,
  costUnit: 'audio seconds',
  kind: (item) => item.type,
};
