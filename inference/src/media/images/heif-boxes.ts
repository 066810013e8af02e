import { latin1, viewOf } from '../bytes.js';
import { DamagedImage } from './errors.js';

const MAX_BOXES = 1_000;
/** Version and flags, before the boxes inside `meta` and `iref`. */
export const FULL_BOX_BYTES = 4;

export interface Box {
  readonly type: string;
  /** Of its content, without the header. */
  readonly start: number;
  readonly end: number;
}

/** Whether a file of ISO base media boxes (ISO/IEC 14496-12, section 4.2) has a top-level box of that type. */
export function hasBox(content: Uint8Array, type: string): boolean {
  return findBox(content, type, 0, content.length) !== undefined;
}

/** Whether the colours of an image are multiplied by its alpha: a reference `prem` (ISO/IEC 23008-12, section 6.10.1.1). */
export function isPremultiplied(content: Uint8Array): boolean {
  const meta = findBox(content, 'meta', 0, content.length);
  const references = meta && findBox(content, 'iref', meta.start + FULL_BOX_BYTES, meta.end);
  return (
    references !== undefined &&
    findBox(content, 'prem', references.start + FULL_BOX_BYTES, references.end) !== undefined
  );
}

/**
 * The file with its EXIF items renamed, so that libvips does not read them (exif.ts): their content may be in several pieces, which no search
 * finds. The turns of a HEIF image are properties of its own, not EXIF's. Of several `meta` boxes libheif takes another than the first.
 */
export function withoutExif(content: Uint8Array): Uint8Array {
  let copy: Buffer | undefined;
  for (const meta of boxes(content, 'meta', 0, content.length)) {
    // libvips ignores the case of a type.
    for (const { index } of latin1(content, meta.start, meta.end).matchAll(/exif/gi)) {
      copy ??= Buffer.from(content);
      copy.write('none', meta.start + index, 'latin1');
    }
  }
  return copy ?? content;
}

export function findBox(content: Uint8Array, type: string, from: number, to: number): Box | undefined {
  for (const box of boxes(content, type, from, to)) return box;
  return undefined;
}

export function* boxes(content: Uint8Array, type: string, from: number, to: number): Iterable<Box> {
  for (const box of allBoxes(content, from, to)) if (box.type === type) yield box;
}

/** Boxes, one after the other. Throws DamagedImage behind MAX_BOXES. */
export function* allBoxes(content: Uint8Array, from: number, to: number): Iterable<Box> {
  const view = viewOf(content);
  let at = from;
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
