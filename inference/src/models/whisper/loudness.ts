import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { frameLevelsDb } from '../speech/frame-energy.js';

/** Peak of digital silence, -80 dB of full scale: below the noise of 16-bit audio files. */
const SILENCE_PEAK = 1e-4;
const FRAME_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 40;
const FEWEST_FRAMES = 20;
/** Louder frames that do not count, 0.2 s: a click, but not a word in half a minute of silence. */
const MAX_LOUDER_FRAMES = 8;
/**
 * White noise and hums have 1 dB, brown and pink noise 6 to 8, speech in noise at 10 dB 14 and more, clean speech above
 * 25.
 */
const STEADY_DB = 9;
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
 * Returns the difference between the 95th percentile of the power of 25 ms frames, or the ninth highest if that is more, and the 5th
 * percentile, in dB. Infinity for less than half a second, which is too short to judge.
 */
export function loudnessRangeDb(samples: Float32Array): number {
  const levels = frameLevelsDb(samples, FRAME_SAMPLES).sort();
  if (levels.length < FEWEST_FRAMES) return Number.POSITIVE_INFINITY;
  const last = levels.length - 1;
  const loud = Math.max(Math.floor(0.95 * last), last - MAX_LOUDER_FRAMES);
  return (levels[loud] ?? 0) - (levels[Math.floor(0.05 * last)] ?? 0);
}
