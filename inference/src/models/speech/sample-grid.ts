import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/**
 * Rounds a time in seconds to the 16 kHz sample grid, which all times of an audio file use. Times of the same sample
 * are then equal, however they were computed (0.02 x 5 + 47.22 is not 47.32 in floats).
 */
export function onSampleGrid(seconds: number): number {
  return Math.round(seconds * SPEECH_SAMPLE_RATE_HZ) / SPEECH_SAMPLE_RATE_HZ;
}
