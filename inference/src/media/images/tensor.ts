import type { Image } from './image.js';

export interface PlaneOptions {
  /** Factor applied to bytes first; 1/255 for most models, 1 for those that expect 0 to 255. */
  readonly rescale: number;
  /** One per channel, in the order red, green, blue. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Writes an image as three planes of floats (NCHW), `(byte * rescale - mean) / std`: 3 * height * width numbers. */
export function writePlanes(image: Image, options: PlaneOptions, planes: Float32Array): void {
  const planeSize = image.width * image.height;
  for (let channel = 0; channel < 3; channel += 1) {
    const table = valueTable(options, channel as 0 | 1 | 2);
    let from = channel;
    for (let to = channel * planeSize; to < (channel + 1) * planeSize; to += 1) {
      planes[to] = table[image.data[from] as number] as number;
      from += 3;
    }
  }
}

function valueTable(options: PlaneOptions, channel: 0 | 1 | 2): Float32Array {
  const table = new Float32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    table[byte] = (byte * options.rescale - options.mean[channel]) / options.std[channel];
  }
  return table;
}
