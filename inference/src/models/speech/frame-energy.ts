/** Keeps the level of silence finite: -120 dB. */
const MIN_ENERGY = 1e-12;

/** Mean square of each frame; the last one may be shorter. */
export function frameEnergies(samples: Float32Array, frameSamples: number): Float64Array {
  return Float64Array.from({ length: Math.ceil(samples.length / frameSamples) }, (_, frame) => {
    const end = Math.min(samples.length, (frame + 1) * frameSamples);
    let sum = 0;
    for (let i = frame * frameSamples; i < end; i++) sum += (samples[i] as number) ** 2;
    return sum / (end - frame * frameSamples);
  });
}

/** Level of each whole frame, in dB of full scale. */
export function frameLevelsDb(samples: Float32Array, frameSamples: number): Float64Array {
  const whole = samples.subarray(0, samples.length - (samples.length % frameSamples));
  return frameEnergies(whole, frameSamples).map((energy) => 10 * Math.log10(MIN_ENERGY + energy));
}
