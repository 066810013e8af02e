import type { Image } from './image.js';

export interface PlaneOptions {
  /** What a byte is multiplied with first; 1/255 for most models, 1 for those that take 0 to 255. */
  readonly rescale: number;
  /** One a channel, in the order red, green, blue. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Default `rgb`. */
  readonly order?: 'rgb' | 'bgr';
}

/**
 * Writes an image as three planes of floats, `(byte * rescale - mean) / std`, from `offset` of `planes` on: 3 * height *
 * width numbers, the layout that models call NCHW. Rows beyond the image's own are left as they are.
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
    const place = options.order === 'bgr' ? 2 - channel : channel;
    for (let row = 0; row < image.height; row += 1) {
      let from = row * image.width * 3 + channel;
      let to = offset + place * planeSize + row * plane.width;
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
