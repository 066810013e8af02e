import type { Sharp } from 'sharp';
import { DamagedImage } from './errors.js';
import { allBoxes, type Box, FULL_BOX_BYTES, findBox } from './heif-boxes.js';
import { orNothing, viewOf } from './icc.js';
import { openRaw, readSamples } from './open.js';
import type { RawImage } from './raw-image.js';

/** How an image is turned: by quarters against the clock, or mirrored. */
export type Turn = { readonly quarters: number } | { readonly mirror: 'upside down' | 'left to right' };

const TURNS = ['irot', 'imir'];
/** An image has one of each; every one costs a copy of its pixels. */
const MAX_TURNS = 4;

/**
 * How the primary image of a HEIF file is turned and mirrored, in this order. Layout: ISO/IEC 23008-12, sections 6.5.10, 6.5.12 and 9.3; ISO/IEC
 * 14496-12, section 8.11.4 (`pitm`).
 */
export function turnsOf(content: Uint8Array): readonly Turn[] {
  const view = viewOf(content);
  const meta = findBox(content, 'meta', 0, content.length);
  const primary = meta && findBox(content, 'pitm', meta.start + FULL_BOX_BYTES, meta.end);
  const properties = propertiesOf(content);
  const uses = properties && findBox(content, 'ipma', properties.start, properties.end);
  if (primary === undefined || uses === undefined) return [];
  const id = view.getUint8(primary.start) === 0 ? view.getUint16(primary.start + 4) : view.getUint32(primary.start + 4);
  const indices = orNothing(() => usedProperties(viewOf(content.subarray(uses.start, uses.end)), id)) ?? [];
  const all = turnBoxes(content);
  const turns = indices.flatMap((index): readonly Turn[] => {
    const box = all.get(index);
    if (box === undefined) return [];
    const value = view.getUint8(box.start);
    if (box.type === 'irot') return (value & 3) === 0 ? [] : [{ quarters: value & 3 }];
    return [{ mirror: (value & 1) === 0 ? 'upside down' : 'left to right' }];
  });
  if (turns.length > MAX_TURNS) throw new DamagedImage('it is turned more often than an image');
  return turns;
}

/** The file with images as they are stored: each turn is made one by no angle. */
export function withoutTurns(content: Uint8Array): Uint8Array {
  const copy = Buffer.from(content);
  for (const { start } of turnBoxes(content).values()) {
    copy.write('irot', start - 4, 'latin1');
    copy[start] = 0;
  }
  return copy;
}

/** Whether turns exchange width and height. */
export function isOnItsSide(turns: readonly Turn[]): boolean {
  return turns.filter((turn) => 'quarters' in turn && turn.quarters !== 2).length % 2 === 1;
}

/** Turns an image as its file says. */
export async function openTurned(image: Sharp, turns: readonly Turn[]): Promise<Sharp> {
  let turned = image;
  for (const turn of turns) {
    const before = turned;
    const { data, info } = await readSamples(() => applied(before.clone(), turn).toColourspace('srgb'));
    const channels = info.channels as RawImage['channels'];
    turned = openRaw({ data, width: info.width, height: info.height, channels });
  }
  return turned;
}

function applied(image: Sharp, turn: Turn): Sharp {
  if ('quarters' in turn) return image.rotate(360 - turn.quarters * 90);
  return turn.mirror === 'upside down' ? image.flip() : image.flop();
}

function propertiesOf(content: Uint8Array): Box | undefined {
  const meta = findBox(content, 'meta', 0, content.length);
  return meta && findBox(content, 'iprp', meta.start + FULL_BOX_BYTES, meta.end);
}

/** The properties that turn an image, by their index, which begins with 1. */
function turnBoxes(content: Uint8Array): ReadonlyMap<number, Box> {
  const properties = propertiesOf(content);
  const all = properties && findBox(content, 'ipco', properties.start, properties.end);
  if (all === undefined) return new Map();
  const boxes = [...allBoxes(content, all.start, all.end)].map((box, index) => [index + 1, box] as const);
  return new Map(boxes.filter(([, { type, start, end }]) => TURNS.includes(type) && start < end));
}

/** The indices of an item's properties, in an `ipma` box without its header. Throws a RangeError where it ends too early. */
function usedProperties(uses: DataView, wanted: number): readonly number[] {
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
    if (id === wanted)
      return Array.from({ length: (end - first) / indexBytes }, (_, n) => index(first + n * indexBytes));
    at = end;
  }
  return [];
}
