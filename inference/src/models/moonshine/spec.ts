import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { SPEECH_BATCH } from '../batch-specs.js';
import type { FamilySpec } from '../model.js';
import type { MoonshineWindow } from './window.js';

/** Moonshine: English speech, small and fast. The cost is proportional to the true length. */
export const moonshineSpec: FamilySpec<MoonshineWindow> = {
  healthName: () => 'moonshine',
  cost: (item) => item.samples.length / SPEECH_SAMPLE_RATE_HZ,
  costUnit: 'audio seconds',
  batch: SPEECH_BATCH,
  kind: (item) => item.type,
  // Listening to a window takes a small part of the time of decoding it.
  typical: (item) => item.type !== 'vad',
};
