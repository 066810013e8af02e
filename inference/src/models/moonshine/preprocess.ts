import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/** Minimum samples for one frame of the encoder's convolutions; a shorter utterance is padded with silence. */
const MIN_SAMPLES = 1600;

/** Maximum tokens per second of speech; the reference's limit (transformers, MoonshineForConditionalGeneration). */
const TOKENS_A_SECOND = 6.5;

/** Samples as encoder input: unchanged, a very short utterance padded with silence. */
export function fillUp(samples: Float32Array): Float32Array {
  if (samples.length >= MIN_SAMPLES) return samples;
  const filled = new Float32Array(MIN_SAMPLES);
  filled.set(samples);
  return filled;
}

/** Token limit of an utterance, which stops a looping model. `positions` is the decoder's capacity. */
export function tokenLimit(sampleCount: number, positions: number): number {
  return Math.min(positions - 1, Math.max(4, Math.ceil((sampleCount / SPEECH_SAMPLE_RATE_HZ) * TOKENS_A_SECOND)));
}
