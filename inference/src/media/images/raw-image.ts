import sharp, { type Sharp } from 'sharp';

/** Pixels of 8 bits, upright, row by row: grey, grey and alpha, RGB or RGBA by `channels`; alpha is not premultiplied. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array;
}

/** For the rest of the way, which is the same for every format. */
export function openRaw({ data, width, height, channels }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}
