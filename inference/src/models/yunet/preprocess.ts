import {
  decodeImage,
  interpolatePicture,
  type Picture,
  type PictureResizer,
  writePlanes,
} from '../../media/images/index.js';

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
  /** Network pixels a pixel of the picture. */
  readonly scale: number;
}

export interface PreparedPicture {
  readonly input: NetworkInput;
  /** Size of the picture as shown. */
  readonly width: number;
  readonly height: number;
}

/** Decodes a picture and fits it into a square of `side`. Throws an InferenceError when it is no picture or too large. */
export async function preparePicture(
  content: Uint8Array,
  side: number,
  resizer: PictureResizer,
  maxPixels: number,
): Promise<PreparedPicture> {
  const { picture } = await decodeImage(content, { maxPixels });
  return { input: letterbox(picture, side, resizer), width: picture.width, height: picture.height };
}

/**
 * Scales a picture so that its longer side is `side`, and puts it in the upper left corner of a black square. YuNet takes
 * the bytes as they are, in OpenCV's order.
 */
export function letterbox(picture: Picture, side: number, resizer: PictureResizer): NetworkInput {
  const scale = side / Math.max(picture.width, picture.height);
  const width = Math.min(side, Math.max(1, Math.round(picture.width * scale)));
  const height = Math.min(side, Math.max(1, Math.round(picture.height * scale)));
  const values = new Float32Array(3 * side * side);
  const plain = { rescale: 1, mean: [0, 0, 0], std: [1, 1, 1], order: 'bgr' } as const;
  const fitted =
    scale < LEAST_INTERPOLATED
      ? resizer.resize(picture, width, height, 'bilinear')
      : interpolatePicture(picture, width, height);
  writePlanes(fitted, plain, values, 0, { width: side, height: side });
  return { values, width: side, height: side, scale };
}
