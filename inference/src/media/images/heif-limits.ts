import { viewOf } from '../bytes.js';
import { type Box, boxAt, boxesOf } from './boxes.js';
import { DamagedImage } from './errors.js';
import { MAX_ITEMS, propertiesByItem } from './heif-properties.js';

/** What decoders do with a HEIF image before any time limit applies, bounded by what its file says. */

/** Items that share bytes are rare: the length of all items is at most this many times that of the file. */
const MAX_SHARED = 4;
/** Tiles reach beyond their image, and some images have an alpha channel, a depth map and a gain map of tiles. */
const MAX_PIXELS_SHARE = 4;
/** Frames of one image: a progressive one has up to four layers. */
const MAX_FRAMES = 8;
/** Kinds of OBUs that a frame begins with: a header alone, and one with its data. */
const FRAME_HEADERS: readonly number[] = [3, 6];

/** A part of an item's data; `offset` in the file. */
interface Extent {
  readonly item: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Throws DamagedImage if the items of a HEIF image together are many times as long as the file, because they share its bytes. libheif copies all
 * that are no images: a file of 1 MB took 4 GB.
 */
export function checkItems(content: Uint8Array): void {
  let bytes = 0;
  for (const meta of boxesOf(content, 'meta')) for (const { length } of extentsOf(content, meta)) bytes += length;
  if (bytes > content.length * MAX_SHARED)
    throw new DamagedImage('its parts together are many times as long as the file');
}

/**
 * Throws DamagedImage if the images that a HEIF image is made of together have many times `maxPixels`, or one of AV1 has many frames. Every
 * reference to a tile is decoded, and every frame: a file of 2 kB took 400 s. Layout: ISO/IEC 14496-12, section 8.11.12 (`iref`).
 */
export function checkParts(content: Uint8Array, maxPixels: number): void {
  // Of several `meta` boxes libheif takes another than the first.
  for (const meta of boxesOf(content, 'meta')) {
    const items = propertiesByItem(content, meta);
    const pixels = [...partsOf(content, meta)].map((id) => pixelsOf(content, items.get(id) ?? []));
    if (pixels.reduce((sum, one) => sum + one, 0) > maxPixels * MAX_PIXELS_SHARE)
      throw new DamagedImage('its tiles together have many times the pixels of an image');
    const ids = [...items.keys()].filter((id) => items.get(id)?.some(({ type }) => type === 'av1C'));
    const images = new Map(ids.map((id): [number, Uint8Array[]] => [id, []]));
    for (const { item, offset, length } of extentsOf(content, meta))
      images.get(item)?.push(content.subarray(offset, offset + length));
    for (const parts of images.values())
      if (countFrames(Buffer.concat(parts)) > MAX_FRAMES) throw new DamagedImage('it has more frames than an image');
  }
}

function pixelsOf(content: Uint8Array, properties: readonly Box[]): number {
  const view = viewOf(content);
  const sizes = properties.filter(({ type }) => type === 'ispe');
  return Math.max(0, ...sizes.map(({ start }) => view.getUint32(start + 4) * view.getUint32(start + 8)));
}

/** The items that others are made of, as often as they are. */
function* partsOf(content: Uint8Array, meta: Box): Iterable<number> {
  const view = viewOf(content);
  let all = 0;
  for (const references of boxesOf(content, 'iref', meta)) {
    const [idBytes, read] =
      view.getUint8(references.start) === 0 ? ([2, 'getUint16'] as const) : ([4, 'getUint32'] as const);
    for (const { start } of boxesOf(content, 'dimg', references)) {
      const count = view.getUint16(start + idBytes);
      all += count;
      if (all > MAX_ITEMS) throw new DamagedImage('it has more tiles than an image');
      for (let from = start + idBytes + 2, last = from + count * idBytes; from < last; from += idBytes)
        yield view[read](from);
    }
  }
}

/** The frames in the data of an AV1 image. Layout: AV1 bitstream, sections 5.3.1 to 5.3.3 and 4.10.5. */
function countFrames(data: Uint8Array): number {
  let frames = 0;
  for (let at = 0; at < data.length; ) {
    const header = data[at] as number;
    if (FRAME_HEADERS.includes((header >> 3) & 15)) frames += 1;
    // Without a size it reaches to the end.
    if ((header & 2) === 0) break;
    at += (header & 4) === 0 ? 1 : 2;
    let size = 0;
    for (let shift = 1, more = true; more && at < data.length; shift *= 128, at += 1) {
      size += ((data[at] as number) & 127) * shift;
      more = (data[at] as number) > 127;
    }
    at += size;
  }
  return frames;
}

/** The extents of all items, up to where a box ends too early. Layout: ISO/IEC 14496-12, section 8.11.3 (`iloc`). */
function* extentsOf(content: Uint8Array, meta: Box): Iterable<Extent> {
  const inside = boxAt(content, ['idat'], meta)?.start ?? 0;
  for (const { start, end } of boxesOf(content, 'iloc', meta)) {
    try {
      yield* readExtents(viewOf(content.subarray(start, end)), inside);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
}

/** The extents in an `iloc` box, without its header; `inside`: where `idat` begins. Throws a RangeError where it ends too early. */
function* readExtents(iloc: DataView, inside: number): Iterable<Extent> {
  const version = iloc.getUint8(0);
  const [offsetBytes, lengthBytes] = [iloc.getUint8(4) >> 4, iloc.getUint8(4) & 15];
  const [baseBytes, indexBytes] = [iloc.getUint8(5) >> 4, version === 0 ? 0 : iloc.getUint8(5) & 15];
  // Extents without a length may take no bytes themselves: any number of them.
  if (lengthBytes === 0) return;
  let at = 6;
  const next = (bytes: number): number => {
    at += bytes;
    if (bytes === 8) return Number(iloc.getBigUint64(at - 8));
    return bytes === 4 ? iloc.getUint32(at - 4) : bytes === 2 ? iloc.getUint16(at - 2) : 0;
  };
  const idBytes = version < 2 ? 2 : 4;
  const items = next(idBytes);
  for (let index = 0; index < items; index += 1) {
    const item = next(idBytes);
    const isInside = (next(version === 0 ? 0 : 2) & 15) === 1;
    next(2);
    const base = next(baseBytes) + (isInside ? inside : 0);
    const count = next(2);
    for (let extent = 0; extent < count; extent += 1) {
      next(indexBytes);
      yield { item, offset: base + next(offsetBytes), length: next(lengthBytes) };
    }
  }
}
