import type { DecodedBlock } from './decoders/decoder.js';

/** The mean of the channels. What is not a number becomes silence and what is out of range is clipped. */
export function mixToMono(block: DecodedBlock): Float32Array {
  const length = block.channels[0]?.length ?? 0;
  const mono = new Float32Array(length);
  for (const channel of block.channels) {
    for (let index = 0; index < length; index++) mono[index] = (mono[index] ?? 0) + (channel[index] ?? 0);
  }
  const scale = 1 / Math.max(1, block.channels.length);
  for (let index = 0; index < length; index++) mono[index] = (mono[index] ?? 0) * scale;
  return clip(mono);
}

/** Brings samples to -1 to 1 where they are; gives back the same array. */
export function clip(samples: Float32Array): Float32Array {
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index] ?? 0;
    if (sample >= -1 && sample <= 1) continue;
    samples[index] = sample > 1 ? 1 : sample < -1 ? -1 : 0;
  }
  return samples;
}
