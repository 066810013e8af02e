import { viewOf } from '../../bytes.js';
/** Coefficient pairs, in 256ths, for the last sample and the one before it. */
export type MsCoefficients = readonly (readonly [number, number])[];

/** The standard pairs (Microsoft, New Multimedia Data Types and Data Techniques 3.0). */
export const MS_COEFFICIENTS: MsCoefficients = [
  [256, 0],
  [512, -256],
  [0, 0],
  [192, 64],
  [240, 0],
  [460, -208],
  [392, -232],
];
/** Factor of the step by code, in 256ths. */
const ADAPTATION = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
const STEP_MIN = 16;
/** Maximum step; keeps products within 32 bits. */
const STEP_MAX = Math.floor(0x7fff_ffff / 768);
/** Of a block, per channel. */
export const MS_HEADER_BYTES = 7;

/**
 * Decodes a block (Microsoft, New Multimedia Data Types and Data Techniques 3.0, "ADPCM Wave Type"): for all channels the pair
 * index, the step and the first two samples, then four bits per sample, channels interleaved, the high nibble first. Undefined
 * if the header is truncated or has an invalid pair index.
 */
export function decodeMsBlock(
  block: Uint8Array,
  channelCount: number,
  coefficients: MsCoefficients,
): Int16Array[] | undefined {
  const headerBytes = MS_HEADER_BYTES * channelCount;
  if (block.length < headerBytes) return undefined;
  const view = viewOf(block);
  const sampleCount = 2 + Math.floor((2 * (block.length - headerBytes)) / channelCount);
  const channels: Int16Array[] = [];
  for (let channel = 0; channel < channelCount; channel++) {
    const pair = coefficients[view.getUint8(channel)];
    if (pair === undefined) return undefined;
    const field = (index: number) => view.getInt16(channelCount * (1 + 2 * index) + 2 * channel, true);
    const samples = new Int16Array(sampleCount);
    let step = field(0);
    let last = field(1);
    let before = field(2);
    samples[0] = before;
    samples[1] = last;
    for (let index = 2; index < sampleCount; index++) {
      const half = (index - 2) * channelCount + channel;
      const byte = block[headerBytes + (half >> 1)] ?? 0;
      const code = half % 2 === 0 ? byte >> 4 : byte & 0x0f;
      const predicted = Math.trunc((last * pair[0] + before * pair[1]) / 256);
      const sample = predicted + ((code ^ 8) - 8) * step;
      before = last;
      last = Math.max(-32_768, Math.min(32_767, sample));
      samples[index] = last;
      step = Math.min(STEP_MAX, Math.max(STEP_MIN, ((ADAPTATION[code] ?? 0) * step) >> 8));
    }
    channels.push(samples);
  }
  return channels;
}
