import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { SPEECH_BATCH } from '../batch-specs.js';
import type { FamilySpec } from '../model.js';
import { mergedSilence, WINDOW_POSITIONS, WINDOW_SAMPLES } from './length.js';
import type { WhisperWindow } from './window.js';

const WINDOW_SECONDS = WINDOW_SAMPLES / SPEECH_SAMPLE_RATE_HZ;

/** Whisper: speech in 99 languages, with times, translated into English on demand. */
export const whisperSpec: FamilySpec<WhisperWindow> = {
  healthName: () => 'whisper',
  // What is worked out is what costs: with the silence that is merged, 3 s of speech are as much as 11 s of a long audio file.
  cost: (item) =>
    item.type === 'vad'
      ? item.samples.length / SPEECH_SAMPLE_RATE_HZ
      : ((mergedSilence(item)?.rows.length ?? WINDOW_POSITIONS) / WINDOW_POSITIONS) * WINDOW_SECONDS,
  costUnit: 'audio seconds',
  batch: SPEECH_BATCH,
  // Only windows of about one length share the decoder's runs; and a short utterance must not wait for a long window's end.
  kind: (item) => (item.type === 'vad' ? item.type : `${item.type} ${mergedSilence(item)?.attendedRows}`),
  // A search with several sequences is a batch already, and the detector goes step by step.
  alone: (item) => item.type === 'vad' || item.options.beamSize > 1 || item.options.temperatures[0] !== 0,
};
