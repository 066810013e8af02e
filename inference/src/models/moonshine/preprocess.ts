/** The encoder's convolutions need this many samples for one frame at least; a shorter utterance is filled up with silence. */
const MIN_SAMPLES = 1600;

/** Tokens a second that speech has at most; the reference ends there (transformers, MoonshineForConditionalGeneration). */
const TOKENS_A_SECOND = 6.5;

/** Samples as the encoder takes them: as they are, a very short utterance filled up with silence. */
export function fillUp(samples: Float32Array): Float32Array {
  if (samples.length >= MIN_SAMPLES) return samples;
  const filled = new Float32Array(MIN_SAMPLES);
  filled.set(samples);
  return filled;
}

/** How many tokens an utterance may have: a model that loops is stopped there. `positions` is what the decoder has room for. */
export function tokenLimit(sampleCount: number, sampleRateHz: number, positions: number): number {
  return Math.min(positions - 1, Math.max(4, Math.ceil((sampleCount / sampleRateHz) * TOKENS_A_SECOND)));
}
