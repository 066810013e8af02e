import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { FamilySpec } from '../model.js';
import type { MoonshineWindow } from './window.js';

/** Moonshine: English speech, small and fast; the cost follows the true length. */
export const moonshineSpec: FamilySpec<MoonshineWindow> = {
  family: 'moonshine',
  healthName: () => 'moonshine',
  cost: (item) => item.samples.length / SPEECH_SAMPLE_RATE_HZ,
  costUnit: 'audio seconds',
  kind: (item) => item.type,
};
