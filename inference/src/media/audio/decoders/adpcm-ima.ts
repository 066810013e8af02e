import { viewOf } from '../../bytes.js';

/** Step sizes (IMA, Recommended Practices for Enhancing Digital Audio Compatibility, 1992), each about 10% above the last. */
const STEPS = [
  7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
  130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
  1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
  7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
];
/** Change of the step index by code, without the sign. */
const MOVES = [-1, -1, -1, -1, 2, 4, 6, 8];
/** Of a block, per channel. */
export const IMA_HEADER_BYTES = 4;
/** Samples per group: eight of one channel, then those of the next. */
const GROUP_BYTES = 4;
const GROUP_SAMPLES = 8;

/**
 * Decodes a WAV block (Microsoft, New Multimedia Data Types and Data Techniques 3.0, "DVI ADPCM Wave Type"): the first sample
 * and the step index of each channel, then four bits per sample in groups of eight, the low nibble first. Undefined if the
 * header is truncated or has an invalid step index.
 */
export function decodeImaBlock(block: Uint8Array, channelCount: number): Int16Array[] | undefined {
  const headerBytes = IMA_HEADER_BYTES * channelCount;
  if (block.length < headerBytes) return undefined;
  const view = viewOf(block);
  const groupCount = Math.floor((block.length - headerBytes) / (GROUP_BYTES * channelCount));
  const channels: Int16Array[] = [];
  for (let channel = 0; channel < channelCount; channel++) {
    let sample = view.getInt16(IMA_HEADER_BYTES * channel, true);
    let index = view.getUint8(IMA_HEADER_BYTES * channel + 2);
    if (index >= STEPS.length) return undefined;
    const samples = new Int16Array(1 + groupCount * GROUP_SAMPLES);
    samples[0] = sample;
    for (let at = 1; at < samples.length; at++) {
      const half = (at - 1) % GROUP_SAMPLES;
      const group = (at - 1 - half) / GROUP_SAMPLES;
      const byte = block[headerBytes + (group * channelCount + channel) * GROUP_BYTES + (half >> 1)] ?? 0;
      const code = half % 2 === 0 ? byte & 0x0f : byte >> 4;
      const difference = ((2 * (code & 7) + 1) * (STEPS[index] ?? 0)) >> 3;
      sample = Math.max(-32_768, Math.min(32_767, code & 8 ? sample - difference : sample + difference));
      index = Math.max(0, Math.min(STEPS.length - 1, index + (MOVES[code & 7] ?? 0)));
      samples[at] = sample;
    }
    channels.push(samples);
  }
  return channels;
}
