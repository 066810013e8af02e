import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import type { InferenceError } from '../../src/errors.js';
import { decodeImage, type Image } from '../../src/media/images/index.js';
import { inRepository } from './paths.js';
import { errorOf } from './rejection.js';

const MAX_PIXELS = 1_000_000;

/** A small image file of test/fixtures/images. */
export function imageFixture(name: string): Buffer {
  return readFileSync(inRepository(`inference/test/fixtures/images/${name}`));
}

/** Left half red, right half blue. */
export function halves(width = 40, height = 20): Sharp {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    data[pixel * 3 + (pixel % width < width / 2 ? 0 : 2)] = 255;
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function imageOf(content: Uint8Array): Promise<Image> {
  return (await decodeImage(content, { maxPixels: MAX_PIXELS })).image;
}

export function pixelAt(image: Image, x: number, y: number): number[] {
  const at = (y * image.width + x) * 3;
  return [...image.data.subarray(at, at + 3)];
}

/** The mean of each channel. */
export function meanOf({ data }: Image): number[] {
  const sums = [0, 0, 0];
  data.forEach((value, at) => {
    sums[at % 3] = (sums[at % 3] as number) + value;
  });
  return sums.map((sum) => (sum * 3) / data.length);
}

export async function imageErrorOf(content: Uint8Array, maxPixels = MAX_PIXELS): Promise<InferenceError> {
  return errorOf(decodeImage(content, { maxPixels }));
}
