import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { SPEECH_BATCH } from '../batch-specs.js';
import type { FamilySpec } from '../model.js';
import { mergedSilence, WINDOW_POSITIONS, WINDOW_SAMPLES } from './length.js';
import type { WhisperWindow } from './window.js';

const WINDOW_SECONDS = WINDOW_SAMPLES / SPEECH_SAMPLE_RATE_HZ;

/** Whisper: transcription in 99 languages, with timestamps, and translation into English. */
export const whisperSpec: FamilySpec<WhisperWindow> = {
  healthName: () => 'whisper',
  // The cost is what is computed: with merged silence, 3 s of speech cost as much as 11 s of a long audio file.
  cost: (item) =>
    item.type === 'vad'
      ? item.samples.length / SPEECH_SAMPLE_RATE_HZ
      : ((mergedSilence(item)?.rows.length ?? WINDOW_POSITIONS) / WINDOW_POSITIONS) * WINDOW_SECONDS,
  costUnit: 'audio seconds',
  batch: SPEECH_BATCH,
  // Only windows of similar length share decoder runs, and a short utterance must not wait for a long window.
  kind: (item) => (item.type === 'vad' ? item.type : `${item.type} ${mergedSilence(item)?.attendedRows}`),
  // Listening to a window takes a small part of the time of decoding it.
  typical: (item) => item.type !== 'vad',
  // A search with several sequences is already a batch, and the detector runs step by step.
  alone: (item) => item.type === 'vad' || item.options.beamSize > 1 || item.options.temperatures[0] !== 0,
};
