import type { Image } from './image.js';

/** The integer weights of two neighbours sum to this. */
const ONE = 2048;

/**
 * Resizes by looking up the four nearest pixels, as OpenCV's INTER_LINEAR does, to its rounding. It sees nothing between
 * them: below half the size use ImageResizer, which averages. Method: OpenCV, imgproc/resize.
 */
export function interpolateImage(image: Image, width: number, height: number): Image {
  if (image.width === width && image.height === height) return image;
  const columns = neighbours(image.width, width);
  const rows = neighbours(image.height, height);
  const source = image.data;
  const line = image.width * 3;
  const data = new Uint8Array(width * height * 3);
  let out = 0;
  for (let row = 0; row < height; row += 1) {
    const above = (rows.first[row] as number) * line;
    const below = (rows.second[row] as number) * line;
    const lower = rows.weight[row] as number;
    for (let column = 0; column < width; column += 1) {
      const left = (columns.first[column] as number) * 3;
      const right = (columns.second[column] as number) * 3;
      const share = columns.weight[column] as number;
      for (let channel = 0; channel < 3; channel += 1) {
        const top = blend(source[above + left + channel] as number, source[above + right + channel] as number, share);
        const bottom = blend(
          source[below + left + channel] as number,
          source[below + right + channel] as number,
          share,
        );
        data[out] = ((((ONE - lower) * (top >> 4)) >> 16) + ((lower * (bottom >> 4)) >> 16) + 2) >> 2;
        out += 1;
      }
    }
  }
  return { width, height, data };
}

function blend(one: number, other: number, share: number): number {
  return one * (ONE - share) + other * share;
}

interface Neighbours {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** Weight of the second, in units of ONE. */
  readonly weight: Int32Array;
}

function neighbours(from: number, to: number): Neighbours {
  const result = { first: new Int32Array(to), second: new Int32Array(to), weight: new Int32Array(to) };
  const scale = 1 / (to / from);
  for (let index = 0; index < to; index += 1) {
    // Single precision, so that weights exactly half way round to the same side.
    const at = Math.fround((index + 0.5) * scale - 0.5);
    const first = Math.floor(at);
    result.first[index] = Math.max(0, first);
    result.second[index] = Math.min(first + 1, from - 1);
    result.weight[index] = roundHalfEven(Math.fround(at - first) * ONE);
  }
  return result;
}

function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
