import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { frameLevelsDb } from '../speech/frame-energy.js';

/** Peak of digital silence, -80 dB of full scale: below the noise of 16-bit audio files. */
const SILENCE_PEAK = 1e-4;
const FRAME_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 40;
const FEWEST_FRAMES = 20;
/**
 * White noise and hums have 1 dB, brown and pink noise 5 to 7, speech in noise at 10 dB 14 and more, clean speech above
 * 25.
 */
const STEADY_DB = 8;
const MONOTONE_DB = 2;

/** Whether a window cannot contain speech: digital silence, or noise or hum steadier than any voice. */
export function holdsNothing(samples: Float32Array): boolean {
  return samples.every((sample) => Math.abs(sample) <= SILENCE_PEAK) || loudnessRangeDb(samples) < MONOTONE_DB;
}

/** Whether a window is steady noise, judged by its loudness. */
export function isSteady(samples: Float32Array): boolean {
  return loudnessRangeDb(samples) < STEADY_DB;
}

/**
 * Returns the difference between the 95th and the 5th percentile of the power of 25 ms frames, in dB. Infinity for less
 * than half a second, which is too short to judge.
 */
export function loudnessRangeDb(samples: Float32Array): number {
  const levels = frameLevelsDb(samples, FRAME_SAMPLES).sort();
  if (levels.length < FEWEST_FRAMES) return Number.POSITIVE_INFINITY;
  const at = (part: number) => levels[Math.floor(part * (levels.length - 1))] ?? 0;
  return at(0.95) - at(0.05);
}
