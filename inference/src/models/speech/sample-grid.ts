import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/**
 * A time in seconds on the grid that all times of an audio file are on: that of its samples at 16 kHz. Two times of one sample are
 * then the same number, by whatever sum each was found (0.02 x 5 + 47.22 is not 47.32 in floats).
 */
export function onSampleGrid(seconds: number): number {
  return Math.round(seconds * SPEECH_SAMPLE_RATE_HZ) / SPEECH_SAMPLE_RATE_HZ;
}
