import { type Picture, PictureResizer } from '../../media/images/index.js';
import type { Face } from '../items.js';
import type { FaceNetwork } from './network.js';
import { candidateFaces } from './postprocess.js';
import { COARSEST_STRIDE, crop, type NetworkInput, type Size, scaledSize, toInput } from './preprocess.js';

/**
 * Pixels that go through the network at once: 1280 x 1280, some 30 ms. A picture of more is scaled down to it. Above it YuNet
 * also begins to see faces where there are none, for it was made for faces of up to 300 pixels.
 */
export const MOST_PIXELS = 1280 * 1280;
/** A picture of one line is padded to COARSEST_STRIDE of them, so its length counts for as much. */
const LONGEST_SIDE = MOST_PIXELS / COARSEST_STRIDE;
/** YuNet was made for faces from 10 pixels on: tiles of a picture that is narrower have nothing more to show. */
const LEAST_FACE = 10;

/** Side of a tile, in pixels of the picture. */
const TILE_SIDE = 1024;
/** Neighbouring tiles share so much that a face of SMALL_FACE lies whole in one of them. */
const TILE_OVERLAP = 96;
/** Network pixels of a face that the whole picture surely shows. What tiles see of larger ones is left out. */
const SURELY_SEEN = 32;

/**
 * The score that a face must have which only a tile shows. Tiles are many more places to be wrong at, and small faces are seen less
 * surely: asked for no more than the whole picture, they would show twice the faces and three times the false ones. With a
 * quarter of the way to certainty added, a face they show is as likely to be one as those of the whole picture.
 */
function surer(scoreThreshold: number): number {
  return 1 - (1 - scoreThreshold) * 0.75;
}

/** What a picture may be decoded to: the decoder keeps to twice what it is told. Undefined: every pixel is needed. */
export function decodingTarget(shown: Size, tiles: boolean): Size | undefined {
  const { width, height } = wholeSize(shown);
  if ((tiles && isBroad(shown)) || (width === shown.width && height === shown.height)) return undefined;
  return { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
}

/** Finds faces at the picture's own size, or the largest the network is given. */
export class FaceDetector {
  readonly #network: FaceNetwork;
  readonly #resizer = new PictureResizer();

  constructor(network: FaceNetwork) {
    this.#network = network;
  }

  /**
   * What the network sees of a picture that is shown as `shown` (it may have been decoded smaller). With `tiles`, a picture
   * above MOST_PIXELS is also looked at in pieces at full size, for faces too small to be seen otherwise. `breathe` is
   * called between runs and says whether to go on.
   */
  async detect(
    picture: Picture,
    shown: Size,
    options: { readonly scoreThreshold: number; readonly tiles: boolean },
    breathe: () => Promise<boolean>,
  ): Promise<readonly Face[]> {
    const whole = this.#wholeInput(picture, shown);
    const faces = [...(await this.#look(whole, options.scoreThreshold))];
    const scale = Math.min(whole.scale.x, whole.scale.y);
    if (!options.tiles || !isBroad(shown) || scale >= 1 || this.#network.fixedSide !== undefined) return faces;
    const least = surer(options.scoreThreshold);
    const largest = Math.min(SURELY_SEEN / scale, TILE_OVERLAP);
    for (const { x, y, ...size } of tilesOf(picture)) {
      if (!(await breathe())) return faces;
      const seen = await this.#look(toInput(crop(picture, x, y, size), size, this.#resizer), least);
      for (const face of seen) {
        if (Math.max(face.box.width, face.box.height) > largest) continue;
        if (
          !isCut(face, size, {
            left: x === 0,
            top: y === 0,
            right: x + size.width === picture.width,
            bottom: y + size.height === picture.height,
          })
        ) {
          faces.push(moved(face, x, y));
        }
      }
    }
    return faces;
  }

  #wholeInput(picture: Picture, shown: Size): NetworkInput {
    const side = this.#network.fixedSide;
    const size = side === undefined ? wholeSize(shown) : scaledSize(shown, side / Math.max(shown.width, shown.height));
    const frame = side === undefined ? undefined : { width: side, height: side };
    const input = toInput(picture, size, this.#resizer, frame);
    return { ...input, scale: { x: size.width / shown.width, y: size.height / shown.height } };
  }

  async #look(input: NetworkInput, scoreThreshold: number): Promise<readonly Face[]> {
    return candidateFaces(await this.#network.run(input), input.scale, scoreThreshold);
  }
}

/** The size in which a whole picture is looked at. With its padding it has twice MOST_PIXELS at most, whatever its shape. */
export function wholeSize({ width, height }: Size): Size {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)), LONGEST_SIDE / Math.max(width, height));
  return scaledSize({ width, height }, scale);
}

/** Whether tiles of a picture can show a face. */
function isBroad({ width, height }: Size): boolean {
  return Math.min(width, height) >= LEAST_FACE;
}

/** Tiles that cover a picture, at least TILE_OVERLAP shared by neighbours, of equal size but for rounding. */
export function tilesOf({ width, height }: Size): readonly (Size & { readonly x: number; readonly y: number })[] {
  const columns = cuts(width);
  return cuts(height).flatMap(({ start: y, length: tall }) =>
    columns.map(({ start: x, length: wide }) => ({ x, y, width: wide, height: tall })),
  );
}

function cuts(side: number): readonly { readonly start: number; readonly length: number }[] {
  if (side <= TILE_SIDE) return [{ start: 0, length: side }];
  const count = Math.ceil((side - TILE_OVERLAP) / (TILE_SIDE - TILE_OVERLAP));
  const step = (side - TILE_SIDE) / (count - 1);
  return Array.from({ length: count }, (_, index) => ({ start: Math.round(index * step), length: TILE_SIDE }));
}

/** Whether a face reaches an edge of its tile that is none of the picture: its other half lies in the next tile. */
function isCut(
  { box }: Face,
  { width, height }: Size,
  edge: { readonly left: boolean; readonly top: boolean; readonly right: boolean; readonly bottom: boolean },
): boolean {
  return (
    (!edge.left && box.x <= 0) ||
    (!edge.top && box.y <= 0) ||
    (!edge.right && box.x + box.width >= width) ||
    (!edge.bottom && box.y + box.height >= height)
  );
}

function moved(face: Face, x: number, y: number): Face {
  const move = (point: { readonly x: number; readonly y: number }) => ({ x: point.x + x, y: point.y + y });
  const { rightEye, leftEye, nose, rightMouthCorner, leftMouthCorner } = face.landmarks;
  return {
    box: { ...face.box, x: face.box.x + x, y: face.box.y + y },
    score: face.score,
    landmarks: {
      rightEye: move(rightEye),
      leftEye: move(leftEye),
      nose: move(nose),
      rightMouthCorner: move(rightMouthCorner),
      leftMouthCorner: move(leftMouthCorner),
    },
  };
}
