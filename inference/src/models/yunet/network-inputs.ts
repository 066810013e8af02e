import type { Image } from '../../media/images/index.js';
import { frameOf, type NetworkInput, type Size } from './preprocess.js';

/** Length of the largest buffer kept for the next image: three planes of 1312 x 1312. */
const MAX_KEPT = 3 * 1312 * 1312;

/**
 * Creates the network's inputs and reuses the last buffer: a new one per image costs three times as much as writing it,
 * mostly in pages that the system must clear.
 */
export class NetworkInputs {
  #spare: Float32Array | undefined;

  /**
   * Writes an image as blue, green and red planes of bytes, padded with black to `frame`, for the duration of `use`.
   */
  async with<T>(image: Image, use: (input: NetworkInput) => Promise<T>, frame: Size = frameOf(image)): Promise<T> {
    const length = 3 * frame.width * frame.height;
    const spare = this.#spare !== undefined && this.#spare.length >= length ? this.#spare : undefined;
    // A concurrent call gets another buffer.
    if (spare !== undefined) this.#spare = undefined;
    const buffer = spare ?? new Float32Array(length);
    const values = buffer.subarray(0, length);
    writeBgr(image, values, frame);
    try {
      return await use({ values, ...frame });
    } finally {
      if (buffer.length <= MAX_KEPT && buffer.length >= (this.#spare?.length ?? 0)) this.#spare = buffer;
    }
  }
}

/** Writes three planes; YuNet reads raw bytes in OpenCV's channel order. */
function writeBgr({ width, height, data }: Image, values: Float32Array, frame: Size): void {
  const plane = frame.width * frame.height;
  const blue = values.subarray(0, plane);
  const green = values.subarray(plane, 2 * plane);
  const red = values.subarray(2 * plane);
  let from = 0;
  for (let row = 0; row < height; row += 1) {
    const start = row * frame.width;
    const end = start + width;
    for (let to = start; to < end; to += 1) {
      red[to] = data[from] as number;
      green[to] = data[from + 1] as number;
      blue[to] = data[from + 2] as number;
      from += 3;
    }
    if (width < frame.width) for (const one of [blue, green, red]) one.fill(0, end, start + frame.width);
  }
  for (const one of [blue, green, red]) one.fill(0, height * frame.width);
}
