import type { Face } from '../items.js';
import type { Scale } from './postprocess.js';
import type { Size } from './preprocess.js';
import type { Rectangle } from './pyramid.js';

/**
 * Longer side in network pixels below which YuNet is often uncertain. Enlarged, it finds nearly all from 16 pixels on.
 */
const SMALL_FACE = 32;
/** Size to which such a face is enlarged, by at most MAX_ENLARGEMENT; more shows no more detail. */
const ENLARGED_FACE = 48;
const MAX_ENLARGEMENT = 4;
/** Side of the square searched around it. */
const ENLARGED_SIDE = 96;

/** Whether a face is suspected but too small to decide. */
export function isSmallSuspect({ box, score }: Face, scale: Scale, scoreThreshold: number): boolean {
  return score < scoreThreshold && Math.max(box.width * scale.x, box.height * scale.y) < SMALL_FACE;
}

/** The part of a level around a small face, in its pixels, and the size to enlarge it to. */
export function enlargementOf(
  box: Face['box'],
  scale: Scale,
  level: Size,
): { readonly from: Rectangle; readonly size: Size } {
  const face = Math.max(box.width * scale.x, box.height * scale.y);
  const factor = Math.min(MAX_ENLARGEMENT, ENLARGED_FACE / face);
  const side = Math.round(ENLARGED_SIDE / factor);
  const [x, width] = around((box.x + box.width / 2) * scale.x, side, level.width);
  const [y, height] = around((box.y + box.height / 2) * scale.y, side, level.height);
  const size = { width: Math.round(width * factor), height: Math.round(height * factor) };
  return { from: { x, y, width, height }, size };
}

/** Start and length of a part of `length` centred on `middle`, clipped to a line of `whole`. */
function around(middle: number, length: number, whole: number): readonly [number, number] {
  const long = Math.min(length, whole);
  return [Math.max(0, Math.min(whole - long, Math.round(middle - long / 2))), long];
}
