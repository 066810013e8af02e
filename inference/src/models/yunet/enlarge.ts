import type { Area, Size } from '../../media/images/index.js';
import type { Face } from '../items.js';
import type { Scale } from './postprocess.js';
import { scaledSize } from './preprocess.js';

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
export function enlargementOf(box: Face['box'], scale: Scale, level: Size): Enlargement {
  const face = Math.max(box.width * scale.x, box.height * scale.y);
  const factor = Math.min(MAX_ENLARGEMENT, ENLARGED_FACE / face);
  const side = Math.round(ENLARGED_SIDE / factor);
  const [x, width] = around((box.x + box.width / 2) * scale.x, side, level.width);
  const [y, height] = around((box.y + box.height / 2) * scale.y, side, level.height);
  const size = { width: Math.round(width * factor), height: Math.round(height * factor) };
  return { from: { x, y, width, height }, size };
}

/** A trace of a face in a small image: YuNet often scores a face of 6 to 20 pixels no higher, and few places without a face as high. */
export const TRACE = 0.01;
/** Traces searched per image, the best first: together a quarter of a million network pixels, some 5 ms. */
const MAX_TRACES = 16;
/** Longer side in image pixels of faces that are searched so: the image itself shows larger ones. */
const TRACED_FACE = 40;
/** Traces nearer to each other than this, in pixels, are one place. */
const SAME_TRACE = 12;
/** Side of the square searched around a trace, and its enlargement: 128 network pixels. */
const TRACED_SIDE = 42;
const TRACE_ENLARGEMENT = 3;

/** A square of an image to be searched enlarged. */
export interface Enlargement {
  readonly from: Area;
  readonly size: Size;
}

/** The places of an image with a trace of a face. `candidates` must be sorted, best first. */
export function tracesOf(candidates: readonly Face[], image: Size): readonly Enlargement[] {
  const middles: { readonly x: number; readonly y: number }[] = [];
  for (const { box } of candidates) {
    if (middles.length === MAX_TRACES) break;
    if (Math.max(box.width, box.height) > TRACED_FACE) continue;
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const isNear = (other: typeof middle) =>
      Math.abs(other.x - middle.x) < SAME_TRACE && Math.abs(other.y - middle.y) < SAME_TRACE;
    if (!middles.some(isNear)) middles.push(middle);
  }
  return middles.map((middle) => {
    const [x, width] = around(middle.x, TRACED_SIDE, image.width);
    const [y, height] = around(middle.y, TRACED_SIDE, image.height);
    return { from: { x, y, width, height }, size: scaledSize({ width, height }, TRACE_ENLARGEMENT) };
  });
}

/** Whether a face found in an enlarged square is small enough to be taken from there, and whole in it. */
export function isTraced({ box }: Face, { from }: Enlargement, image: Size): boolean {
  if (Math.max(box.width, box.height) > TRACED_FACE) return false;
  const [right, bottom] = [from.x + from.width, from.y + from.height];
  return (
    (from.x === 0 || box.x >= from.x + 1) &&
    (from.y === 0 || box.y >= from.y + 1) &&
    (right === image.width || box.x + box.width <= right - 1) &&
    (bottom === image.height || box.y + box.height <= bottom - 1)
  );
}

/** Start and length of a part of `length` centred on `middle`, clipped to a line of `whole`. */
function around(middle: number, length: number, whole: number): readonly [number, number] {
  const long = Math.min(length, whole);
  return [Math.max(0, Math.min(whole - long, Math.round(middle - long / 2))), long];
}
