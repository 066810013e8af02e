import { latin1, orNothing, viewOf } from '../bytes.js';
import { type Box, boxAt, boxesIn, boxesOf, FULL_BOX_BYTES } from './boxes.js';
import { DamagedImage } from './errors.js';
import type { Size } from './image.js';

/** libvips refuses files of more items. Photographs have as many tiles from 60 million pixels on: panoramas, telephones of 64 million pixels. */
export const MAX_VIPS_ITEMS = 256;
/** Maximum items of a file, and images that others are made of. Decoders read 1,000. */
export const MAX_ITEMS = 10_000;
const ICC_TYPES = ['prof', 'rICC'];
const FULL_RANGE = 0x80;
/** Codecs by the property that every image of theirs has. */
const CODECS: Readonly<Record<string, string>> = {
  hvcC: 'HEVC',
  av1C: 'AV1',
  avcC: 'H.264',
  vvcC: 'H.266',
  j2kH: 'JPEG 2000',
  uncC: 'uncompressed pixels',
};

/** What is known of a HEIC image without libvips. The size is that of the stored image, before it is turned. */
export interface HeicFacts extends Size {
  readonly profile: Uint8Array | undefined;
}

/** The codec of the primary image, or of the first of those that it is made of; undefined for others. A file's brands need not name it. */
export function codecOf(content: Uint8Array): string | undefined {
  const codecs = [...primaryProperties(content), ...allProperties(content)].map(({ type }) => CODECS[type]);
  return codecs.find((codec) => codec !== undefined);
}

/**
 * Whether the primary image is grey, and black is 16 and white 235, as in video. Layout: ISO/IEC 23008-12, section 6.5.6 (`pixi`); ISO/IEC
 * 14496-12, section 12.1.5 (`colr`).
 */
export function isLimitedGrey(content: Uint8Array): boolean {
  const view = viewOf(content);
  const properties = primaryProperties(content);
  const samples = properties.find(({ type }) => type === 'pixi');
  const levels = properties.find(({ type, start }) => type === 'colr' && latin1(content, start, start + 4) === 'nclx');
  if (samples === undefined || levels === undefined) return false;
  return view.getUint8(samples.start + FULL_BOX_BYTES) === 1 && (view.getUint8(levels.start + 10) & FULL_RANGE) === 0;
}

/** Whether the colours of an image are multiplied by its alpha: a reference `prem` (ISO/IEC 23008-12, section 6.10.1.1). */
export function isPremultiplied(content: Uint8Array): boolean {
  return boxAt(content, ['meta', 'iref', 'prem']) !== undefined;
}

/** The facts of a HEIC image that has more items than libvips reads; undefined for others, and for those that cannot be read without it. */
export function factsOfLarge(content: Uint8Array): HeicFacts | undefined {
  if (countItems(content) <= MAX_VIPS_ITEMS) return undefined;
  const all = allProperties(content);
  const types = all.map(({ type }) => type);
  const properties = primaryProperties(content);
  const size = properties.find(({ type }) => type === 'ispe');
  const isCut = properties.some(({ type }) => type === 'clap');
  if (size === undefined || isCut || !types.includes('hvcC') || types.includes('av1C')) return undefined;
  const view = viewOf(content);
  // Tiles may have the profile of their image.
  const colours = [...properties, ...all]
    .filter(({ type }) => type === 'colr')
    .map(({ start, end }) => content.subarray(start, end))
    .find((colr) => ICC_TYPES.includes(latin1(colr, 0, 4)));
  return {
    width: view.getUint32(size.start + 4),
    height: view.getUint32(size.start + 8),
    profile: colours?.subarray(4),
  };
}

/** The number of images of a file, and of everything else that is stored with them. */
export function countItems(content: Uint8Array): number {
  const items = boxAt(content, ['meta', 'iinf']);
  return items === undefined ? 0 : numberIn(content, items);
}

/** The number with which a box begins: of 16 bits in version 0, else of 32. */
function numberIn(content: Uint8Array, { start }: Box): number {
  const view = viewOf(content);
  const at = start + FULL_BOX_BYTES;
  return view.getUint8(start) === 0 ? view.getUint16(at) : view.getUint32(at);
}

/** The properties of a HEIF file's primary image, in their order. Layout: ISO/IEC 23008-12, section 9.3; ISO/IEC 14496-12, section 8.11.4 (`pitm`). */
export function primaryProperties(content: Uint8Array): readonly Box[] {
  const meta = boxAt(content, ['meta']);
  const primary = boxAt(content, ['meta', 'pitm']);
  if (meta === undefined || primary === undefined) return [];
  return propertiesByItem(content, meta).get(numberIn(content, primary)) ?? [];
}

/** The properties of each item of a `meta` box, in their order. Throws DamagedImage above MAX_ITEMS. */
export function propertiesByItem(content: Uint8Array, meta: Box): ReadonlyMap<number, readonly Box[]> {
  const items = new Map<number, readonly Box[]>();
  const container = boxAt(content, ['iprp'], meta);
  const properties = container && boxAt(content, ['ipco'], container);
  if (properties === undefined) return items;
  const all = [...boxesIn(content, properties)];
  for (const { start, end } of boxesOf(content, 'ipma', container)) {
    orNothing(() => {
      for (const { id, indices } of usesOf(viewOf(content.subarray(start, end)))) {
        if (items.size === MAX_ITEMS) throw new DamagedImage('it has more parts than an image');
        // Indices begin with 1.
        if (!items.has(id))
          items.set(
            id,
            indices.flatMap((index) => all[index - 1] ?? []),
          );
      }
      return undefined;
    });
  }
  return items;
}

/** The properties of all images. */
export function allProperties(content: Uint8Array): readonly Box[] {
  const all = boxAt(content, ['meta', 'iprp', 'ipco']);
  return all === undefined ? [] : [...boxesIn(content, all)];
}

/** The indices of each item's properties, in an `ipma` box without its header. Throws a RangeError where it ends too early. */
function* usesOf(uses: DataView): Iterable<{ readonly id: number; readonly indices: readonly number[] }> {
  const idBytes = uses.getUint8(0) === 0 ? 2 : 4;
  const indexBytes = (uses.getUint8(3) & 1) === 0 ? 1 : 2;
  const count = uses.getUint32(4);
  let at = 8;
  for (let item = 0; item < count; item += 1) {
    const id = idBytes === 2 ? uses.getUint16(at) : uses.getUint32(at);
    const first = at + idBytes + 1;
    const end = first + uses.getUint8(first - 1) * indexBytes;
    // The highest bit says that a reader must know the property.
    const index = (from: number) => (indexBytes === 1 ? uses.getUint8(from) & 0x7f : uses.getUint16(from) & 0x7fff);
    yield { id, indices: Array.from({ length: (end - first) / indexBytes }, (_, n) => index(first + n * indexBytes)) };
    at = end;
  }
}
