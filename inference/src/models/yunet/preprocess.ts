import { interpolatePicture, type Picture, type PictureResizer, writePlanes } from '../../media/images/index.js';

/** The grid of the coarsest outputs: sides of the network's input are multiples of it. */
export const COARSEST_STRIDE = 32;
/** Below this scale looking up neighbours misses pixels, so they are averaged instead. */
const LEAST_INTERPOLATED = 0.5;

/** A picture as the network reads it, and how to get back. */
export interface NetworkInput {
  /** 1 x 3 x height x width: blue, green, red planes, 0 to 255, black on the right and below the picture. */
  readonly values: Float32Array;
  readonly width: number;
  readonly height: number;
  /** Network pixels a pixel of the picture, across and down; not quite the same, for both sizes are whole. */
  readonly scale: { readonly x: number; readonly y: number };
}

/** A size in whole pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of a picture scaled, never less than one pixel. */
export function scaledSize({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The network's input for a picture at `size`. YuNet takes the bytes as they are, in OpenCV's order. */
export function toInput(
  picture: Picture,
  size: Size,
  resizer: PictureResizer,
  frame: Size = frameOf(size),
): NetworkInput {
  const scale = { x: size.width / picture.width, y: size.height / picture.height };
  const fitted =
    Math.min(scale.x, scale.y) < LEAST_INTERPOLATED
      ? resizer.resize(picture, size.width, size.height, 'bilinear')
      : interpolatePicture(picture, size.width, size.height);
  const input = { ...blackInput(frame.width, frame.height), scale };
  writePlanes(fitted, PLAIN, input.values, 0, frame);
  return input;
}

/** The least multiples of COARSEST_STRIDE that hold `size`. */
export function frameOf({ width, height }: Size): Size {
  const up = (side: number): number => Math.ceil(side / COARSEST_STRIDE) * COARSEST_STRIDE;
  return { width: up(width), height: up(height) };
}

const PLAIN = { rescale: 1, mean: [0, 0, 0], std: [1, 1, 1], order: 'bgr' } as const;

/** An input with nothing on it. */
export function blackInput(width: number, height: number): NetworkInput {
  return { values: new Float32Array(3 * width * height), width, height, scale: { x: 1, y: 1 } };
}

/** A rectangle cut out of a picture. */
export function crop(picture: Picture, x: number, y: number, size: Size): Picture {
  const data = new Uint8Array(size.width * size.height * 3);
  for (let row = 0; row < size.height; row += 1) {
    const start = ((y + row) * picture.width + x) * 3;
    data.set(picture.data.subarray(start, start + size.width * 3), row * size.width * 3);
  }
  return { ...size, data };
}
