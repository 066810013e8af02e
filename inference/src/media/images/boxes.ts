import { latin1, viewOf } from '../bytes.js';
import { DamagedImage } from './errors.js';

const MAX_BOXES = 1_000;
/** Version and flags. */
export const FULL_BOX_BYTES = 4;
/** Types that have them in front of the boxes inside. */
const FULL_BOXES: readonly string[] = ['meta', 'iref'];

/** A box of ISO base media (ISO/IEC 14496-12, section 4.2). */
export interface Box {
  readonly type: string;
  /** Of its content, without the header. */
  readonly start: number;
  readonly end: number;
}

/** The first box at a path of types, inside a box or in the file. */
export function boxAt(content: Uint8Array, path: readonly string[], parent?: Box): Box | undefined {
  let found = parent;
  for (const type of path) {
    [found] = boxesOf(content, type, found);
    if (found === undefined) return undefined;
  }
  return found;
}

/** The boxes of a type inside a box or in the file. */
export function* boxesOf(content: Uint8Array, type: string, parent?: Box): Iterable<Box> {
  for (const box of boxesIn(content, parent)) if (box.type === type) yield box;
}

/** The boxes inside a box or in the file. Throws DamagedImage behind MAX_BOXES. */
export function* boxesIn(
  content: Uint8Array,
  { type, start, end: to }: Box = { type: 'file', start: 0, end: content.length },
): Iterable<Box> {
  const view = viewOf(content);
  let at = start + (FULL_BOXES.includes(type) ? FULL_BOX_BYTES : 0);
  for (let box = 0; at + 8 <= to; box += 1) {
    if (box >= MAX_BOXES) throw new DamagedImage('it has more boxes than an image');
    const short = view.getUint32(at);
    const long = short === 1 && at + 16 <= to;
    const size = long ? Number(view.getBigUint64(at + 8)) : short;
    const end = size === 0 ? to : Math.min(to, at + size);
    yield { type: latin1(content, at + 4, at + 8), start: at + (long ? 16 : 8), end };
    if (size < 8) return;
    at += size;
  }
}
