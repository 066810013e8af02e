import type { Face } from '../items.js';
import { overlap } from './postprocess.js';

/** What one run of the network showed of an image, in pixels of the image. */
export interface Look {
  /** 0 for the coarsest level, more for larger ones. */
  readonly level: number;
  readonly faces: readonly Face[];
}

/** Boxes of two looks that overlap by more are one face. */
const SAME_FACE = 0.3;
/** Boxes that overlap by more are as good as equal: the finer look draws them more exactly, whatever their scores. */
const SAME_BOX = 0.7;
/** A box that lies in another by more than this part of its area, and has less than half the other's, is a part of that face. */
const PART_INSIDE = 0.7;
const PART_AREA = 0.5;
/** A part may score so much more than its face: an eye or half a face in a tile can look more like a face than a face does. */
const PART_LEAD = 0.1;

interface Seen {
  readonly face: Face;
  readonly look: Look;
  /** The coarsest level that shows it. */
  readonly level: number;
}

/** One box for each face that some looks at an image showed, best first. Faces of the same look are left as they are. */
export function mergeLooks(looks: readonly Look[]): readonly Face[] {
  const seen = looks.flatMap((look) => look.faces.map((face): Seen => ({ face, look, level: look.level })));
  const kept: Seen[] = [];
  for (const one of seen.toSorted((first, second) => second.face.score - first.face.score)) {
    const index = kept.findIndex(({ face, look }) => look !== one.look && overlap(face.box, one.face.box) > SAME_FACE);
    const better = kept[index];
    if (better === undefined) kept.push(one);
    else kept[index] = sameFace(better, one);
  }
  return kept.filter((one) => !kept.some((other) => isPart(one, other))).map(({ face }) => face);
}

function sameFace(better: Seen, other: Seen): Seen {
  const finer = other.look.level > better.look.level && overlap(better.face.box, other.face.box) > SAME_BOX;
  return { ...(finer ? other : better), level: Math.min(better.level, other.level) };
}

function isPart(one: Seen, whole: Seen): boolean {
  if (one.look === whole.look && one.level <= whole.level) return false;
  if (whole.level > one.level || whole.face.score < one.face.score - PART_LEAD) return false;
  const area = areaOf(one.face.box);
  return area < areaOf(whole.face.box) * PART_AREA && shared(one.face.box, whole.face.box) > area * PART_INSIDE;
}

function areaOf({ width, height }: Face['box']): number {
  return width * height;
}

function shared(one: Face['box'], other: Face['box']): number {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return width > 0 && height > 0 ? width * height : 0;
}
