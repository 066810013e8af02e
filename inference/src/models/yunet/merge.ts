import type { Face } from '../items.js';
import { areaOf, MAX_CANDIDATES, overlap, sharedArea } from './postprocess.js';

/** Detections of one network run, in pixels of the image. */
export interface Pass {
  /** 0 for the coarsest level, more for larger ones. */
  readonly level: number;
  readonly faces: readonly Face[];
}

/** Boxes of two passes that overlap by more are the same face. */
const SAME_FACE = 0.3;
/** Boxes that overlap by more are equivalent: the finer pass is more exact, whatever the scores. */
const SAME_BOX = 0.7;
/**
 * A box inside another by more than this fraction of its area, and with less than half the other's area, is a part of
 * that face.
 */
const PART_INSIDE = 0.7;
const PART_AREA = 0.5;
/** A part may score this much higher than its face: an eye or half a face in a tile may score higher than the whole. */
const PART_LEAD = 0.1;

interface Seen {
  readonly face: Face;
  readonly pass: Pass;
  /** The coarsest level that shows it. */
  readonly level: number;
}

/** Merges the passes over an image: one box per face, best first. Faces within one pass are not merged. */
export function mergePasses(passes: readonly Pass[]): readonly Face[] {
  const seen = passes.flatMap((pass) => pass.faces.map((face): Seen => ({ face, pass, level: pass.level })));
  // The time grows with the square of their number, and nothing else runs meanwhile: 5,000 take 0.3 s, 20,000 take 10 s. Without
  // suppression (an NMS threshold of 1) a hundred tiles may have 5,000 each.
  const best = seen.toSorted((first, second) => second.face.score - first.face.score).slice(0, MAX_CANDIDATES);
  const kept: Seen[] = [];
  for (const one of best) {
    const index = kept.findIndex(({ face, pass }) => pass !== one.pass && overlap(face.box, one.face.box) > SAME_FACE);
    const better = kept[index];
    if (better === undefined) kept.push(one);
    else kept[index] = sameFace(better, one);
  }
  // A box from a finer pass may score less than the one that it replaces.
  return kept
    .filter((one) => !kept.some((other) => isPart(one, other)))
    .map(({ face }) => face)
    .sort((first, second) => second.score - first.score);
}

function sameFace(better: Seen, other: Seen): Seen {
  const finer = other.pass.level > better.pass.level && overlap(better.face.box, other.face.box) > SAME_BOX;
  return { ...(finer ? other : better), level: Math.min(better.level, other.level) };
}

function isPart(one: Seen, whole: Seen): boolean {
  if (one.pass === whole.pass && one.level <= whole.level) return false;
  if (whole.level > one.level || whole.face.score < one.face.score - PART_LEAD) return false;
  const area = areaOf(one.face.box);
  return area < areaOf(whole.face.box) * PART_AREA && sharedArea(one.face.box, whole.face.box) > area * PART_INSIDE;
}
