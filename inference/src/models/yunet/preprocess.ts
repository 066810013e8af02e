import { type Image, ImageInterpolator, ImageResizer, type Size } from '../../media/images/index.js';

/** Stride of the coarsest outputs: the network's input sides are multiples of it. */
export const COARSEST_STRIDE = 32;
/** Below this scale interpolation would skip pixels, so they are averaged instead. */
const MIN_INTERPOLATED = 0.5;
/** Bytes of an image resized at a time. */
const BAND_BYTES = 24 * 1024 * 1024;

/** Images of one size as network input. */
export interface NetworkInput extends Size {
  /** images x 3 x height x width: blue, green, red planes, 0 to 255, padded with black on the right and below. */
  readonly values: Float32Array;
  readonly images: number;
}

/** Scales a size, to at least one pixel. */
export function scaledSize({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Scales images. Owns memory for the largest one so far. */
export class ImageScaler {
  readonly #resizer = new ImageResizer();
  readonly #interpolator = new ImageInterpolator();

  /** Scales an image to `size`. */
  scale(image: Image, size: Size): Image {
    const scale = Math.min(size.width / image.width, size.height / image.height);
    if (scale >= MIN_INTERPOLATED) return this.#interpolator.resize(image, size.width, size.height);
    if (image.data.length <= BAND_BYTES) return this.#resizer.resize(image, size.width, size.height, 'bilinear');
    return this.#scaleInBands(image, size);
  }

  /** The resizer keeps as much memory as its largest image needed, so a large image is resized in bands. */
  #scaleInBands(image: Image, size: Size): Image {
    const count = Math.min(size.height, Math.ceil(image.data.length / BAND_BYTES));
    const line = image.width * 3;
    const data = new Uint8Array(size.width * size.height * 3);
    for (let band = 0; band < count; band += 1) {
      const first = Math.round((size.height * band) / count);
      const last = Math.round((size.height * (band + 1)) / count);
      // Bands meet within half a source row, less than a quarter of a result row.
      const from = Math.round((first / size.height) * image.height);
      const to = Math.round((last / size.height) * image.height);
      const rows = { width: image.width, height: to - from, data: image.data.subarray(from * line, to * line) };
      data.set(this.#resizer.resize(rows, size.width, last - first, 'bilinear').data, first * size.width * 3);
    }
    return { ...size, data };
  }
}

/** The smallest multiples of COARSEST_STRIDE that hold `size`. */
export function frameOf({ width, height }: Size): Size {
  const up = (side: number): number => Math.ceil(side / COARSEST_STRIDE) * COARSEST_STRIDE;
  return { width: up(width), height: up(height) };
}

/** An empty input. */
export function blackInput(width: number, height: number, images: number): NetworkInput {
  return { values: new Float32Array(images * 3 * width * height), images, width, height };
}
