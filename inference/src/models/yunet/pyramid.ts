import type { Area, Size } from '../../media/images/index.js';
import type { Face } from '../items.js';
import type { Scale } from './postprocess.js';
import { COARSEST_STRIDE, frameOf, scaledSize } from './preprocess.js';

/** Maximum pixels per network run: 1280 x 1280, about 30 ms. Larger images are scaled down to it. */
export const MAX_PIXELS = 1280 * 1280;
/** An image of one row is padded to COARSEST_STRIDE rows, so its length is limited too. */
const MAX_SIDE = MAX_PIXELS / COARSEST_STRIDE;
/** YuNet detects faces from 10 pixels on; a narrower image cannot contain one. */
const MIN_FACE = 10;

/**
 * Longer sides of faces, in network pixels, between which YuNet is sure of nearly all (scores above 0.88,
 * bench/vision/faces). Below, it finds fewer; above, scores drop and boxes are too small.
 */
const SURE_FROM = 48;
const SURE_TO = 360;
/**
 * With an overview, `whole` covers faces up to this size, and the overview from that size on; in between the better
 * result counts.
 */
const WHOLE_TO = 480;
const OVERVIEW_FROM = 54;
/** Scale of the overview relative to `whole`: the largest face of MAX_PIXELS has about 200 pixels there. */
const OVERVIEW_STEP = 6;
/**
 * Scale between neighbouring levels. SURE_FROM times this is well below SURE_TO, so each face is in the sure range of
 * at least one level.
 */
const MAX_STEP = 4;
/** Height of a face relative to its width: a face that fills a narrow image is at most this many widths high. */
const FACE_ASPECT = 1.4;

/** Maximum network pixels of a small image: in one, every place with a trace of a face is searched enlarged. */
const SMALL_PIXELS = 350_000;

/** Maximum side of a tile. */
const MAX_TILE_SIDE = 1280;
/** Margin around a face in its tile, relative to its size. */
const TILE_MARGIN = 0.125;

/** A size at which an image is searched, and the faces taken from there. */
export interface Level {
  readonly size: Size;
  /** Longer side of faces in pixels of this level. */
  readonly smallest: number;
  readonly largest: number;
  /** Tiles searched one by one; undefined: the whole at once. */
  readonly tiles: readonly Area[] | undefined;
  /** Whether it finds faces that are too large at all other levels. */
  readonly isOverview?: boolean;
}

/**
 * At which sizes an image is looked at, the smallest first, so that every face from SURE_FROM pixels on lies in the sure range of one:
 * - the image in its own size, or in MAX_PIXELS;
 * - a sixth of that, where a face could be too large for it: a thirtieth of the cost;
 * - with tiles, above MAX_PIXELS: in tiles in its own size and at most a quarter of that each, until the next is the whole.
 */
export function pyramidOf(shown: Size, withTiles: boolean): readonly Level[] {
  const size = wholeSize(shown);
  const tiled = withTiles && needsTiles(shown) ? tiledLevels(shown, size) : [];
  if (!needsOverview(size))
    return [{ size, smallest: 0, largest: Number.POSITIVE_INFINITY, tiles: undefined }, ...tiled];
  return [
    {
      size: scaledSize(size, 1 / OVERVIEW_STEP),
      smallest: OVERVIEW_FROM,
      largest: Number.POSITIVE_INFINITY,
      tiles: undefined,
      isOverview: true,
    },
    { size, smallest: 0, largest: WHOLE_TO, tiles: undefined },
    ...tiled,
  ];
}

/** The size for a whole image. With padding at most twice MAX_PIXELS, whatever the shape. */
export function wholeSize({ width, height }: Size): Size {
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / Math.max(width, height));
  return scaledSize({ width, height }, scale);
}

/** Whether tiles can show a face that the whole image does not. */
export function needsTiles(shown: Size): boolean {
  const { width, height } = wholeSize(shown);
  return Math.min(shown.width, shown.height) >= MIN_FACE && (width < shown.width || height < shown.height);
}

/** Whether traces of faces are searched enlarged: in a small image they are few, and its faces small. */
export function isSmallImage(shown: Size): boolean {
  const frame = frameOf(shown);
  return frame.width * frame.height <= SMALL_PIXELS && Math.min(shown.width, shown.height) >= MIN_FACE;
}

function needsOverview({ width, height }: Size): boolean {
  return Math.min(height, width * FACE_ASPECT) > SURE_TO;
}

function tiledLevels(shown: Size, whole: Size): readonly Level[] {
  const ratio = Math.sqrt((shown.width * shown.height) / (whole.width * whole.height));
  const count = Math.max(1, Math.ceil(Math.log(ratio) / Math.log(MAX_STEP)));
  const step = ratio ** (1 / count);
  const largest = SURE_FROM * step;
  return Array.from({ length: count }, (_, index) => {
    const size = index === count - 1 ? shown : scaledSize(whole, step ** (index + 1));
    return { size, smallest: 0, largest, tiles: tilesOf(size, Math.ceil(largest * (1 + 2 * TILE_MARGIN))) };
  });
}

/** Tiles of equal size (up to rounding) that cover an image; neighbours overlap by at least `overlap`. */
export function tilesOf({ width, height }: Size, overlap: number): readonly Area[] {
  const columns = cuts(width, overlap);
  return cuts(height, overlap).flatMap(({ start: y, length: tall }) =>
    columns.map(({ start: x, length: wide }) => ({ x, y, width: wide, height: tall })),
  );
}

function cuts(side: number, overlap: number): readonly { readonly start: number; readonly length: number }[] {
  if (side <= MAX_TILE_SIDE) return [{ start: 0, length: side }];
  const count = Math.ceil((side - overlap) / (MAX_TILE_SIDE - overlap));
  const length = Math.ceil((side + (count - 1) * overlap) / count);
  const step = (side - length) / (count - 1);
  return Array.from({ length: count }, (_, index) => ({ start: Math.floor(index * step), length }));
}

/**
 * Whether a face is so close to an inner edge of its tile that it may be cut off; the next tile has all of it. The box
 * is relative to the tile, in image pixels; `scale` is level pixels per image pixel.
 */
export function isCut(box: Face['box'], scale: Scale, tile: Area | undefined, level: Size): boolean {
  if (tile === undefined) return false;
  const [left, top] = [box.x * scale.x, box.y * scale.y];
  const [wide, tall] = [box.width * scale.x, box.height * scale.y];
  const margin = Math.max(wide, tall) * TILE_MARGIN;
  return (
    (tile.x > 0 && left < margin) ||
    (tile.y > 0 && top < margin) ||
    (tile.x + tile.width < level.width && left + wide > tile.width - margin) ||
    (tile.y + tile.height < level.height && top + tall > tile.height - margin)
  );
}
