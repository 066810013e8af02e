import type { Image } from './image.js';

export interface PlaneOptions {
  /** Factor applied to bytes first; 1/255 for most models, 1 for those that expect 0 to 255. */
  readonly rescale: number;
  /** One per channel, in the order red, green, blue. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Default `rgb`. */
  readonly order?: 'rgb' | 'bgr';
}

/**
 * Writes an image as three planes of floats (NCHW), `(byte * rescale - mean) / std`, at `offset` in `planes`: 3 *
 * height * width numbers. Rows beyond the image's are unchanged.
 */
export function writePlanes(
  image: Image,
  options: PlaneOptions,
  planes: Float32Array,
  offset: number,
  plane: { readonly width: number; readonly height: number } = image,
): void {
  const planeSize = plane.width * plane.height;
  for (let channel = 0; channel < 3; channel += 1) {
    const table = valueTable(options, channel as 0 | 1 | 2);
    const target = options.order === 'bgr' ? 2 - channel : channel;
    for (let row = 0; row < image.height; row += 1) {
      let from = row * image.width * 3 + channel;
      let to = offset + target * planeSize + row * plane.width;
      for (let column = 0; column < image.width; column += 1) {
        planes[to] = table[image.data[from] as number] as number;
        from += 3;
        to += 1;
      }
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
