import { DamagedImage } from './errors.js';
import { ascii } from './formats.js';
import { orNothing, viewOf } from './icc.js';

const MAX_BOXES = 1_000;
/** Version and flags, before the boxes inside `meta` and `iref`. */
export const FULL_BOX_BYTES = 4;

/** Items that share bytes are rare: the length of all items is at most this many times that of the file. */
const MAX_SHARED = 4;

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
    for (const { index } of ascii(content, meta.start, meta.end).matchAll(/exif/gi)) {
      copy ??= Buffer.from(content);
      copy.write('none', meta.start + index, 'latin1');
    }
  }
  return copy ?? content;
}

/**
 * Throws DamagedImage if the items of a HEIF image together are many times as long as the file, because they share its bytes. libheif copies all
 * that are no images, before any time limit applies: a file of 1 MB took 4 GB. Layout: ISO/IEC 14496-12, section 8.11.3 (`iloc`).
 */
export function checkItems(content: Uint8Array): void {
  let bytes = 0;
  for (const meta of boxes(content, 'meta', 0, content.length)) {
    for (const { start, end } of boxes(content, 'iloc', meta.start + FULL_BOX_BYTES, meta.end)) {
      bytes += orNothing(() => itemBytes(viewOf(content.subarray(start, end)))) ?? 0;
    }
  }
  if (bytes > content.length * MAX_SHARED)
    throw new DamagedImage('its parts together are many times as long as the file');
}

/** The length of all items in an `iloc` box, without its header. Throws a RangeError where it ends too early. */
function itemBytes(iloc: DataView): number {
  const version = iloc.getUint8(0);
  const sizes = [4, 4, 5, 5].map((at, half) => (iloc.getUint8(at) >> (half % 2 === 0 ? 4 : 0)) & 15);
  const [offsetBytes = 0, lengthBytes = 0, baseBytes = 0] = sizes;
  const extentBytes = (version === 0 ? 0 : (sizes[3] ?? 0)) + offsetBytes + lengthBytes;
  // Its extents have no length.
  if (lengthBytes === 0) return 0;
  const idBytes = version < 2 ? 2 : 4;
  const count = idBytes === 2 ? iloc.getUint16(6) : iloc.getUint32(6);
  let at = 6 + idBytes;
  let bytes = 0;
  for (let item = 0; item < count; item += 1) {
    at += idBytes + (version === 0 ? 0 : 2) + 2 + baseBytes;
    const end = at + 2 + iloc.getUint16(at) * extentBytes;
    for (at += 2; at < end; at += extentBytes) {
      const length = at + extentBytes - lengthBytes;
      bytes += lengthBytes === 8 ? Number(iloc.getBigUint64(length)) : iloc.getUint32(length);
    }
  }
  return bytes;
}

export function findBox(content: Uint8Array, type: string, from: number, to: number): Box | undefined {
  for (const box of boxes(content, type, from, to)) return box;
  return undefined;
}

function* boxes(content: Uint8Array, type: string, from: number, to: number): Iterable<Box> {
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
    yield { type: ascii(content, at + 4, at + 8), start: at + (long ? 16 : 8), end };
    if (size < 8) return;
    at += size;
  }
}
