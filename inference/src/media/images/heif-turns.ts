import type { Region, Sharp } from 'sharp';
import { viewOf } from '../bytes.js';
import type { Box } from './boxes.js';
import { DamagedImage } from './errors.js';
import { allProperties, primaryProperties } from './heif-properties.js';
import type { Size } from './image.js';
import { openRaw, readPixels } from './open.js';

/** How an image is turned: by quarters against the clock, or mirrored; or cropped, by the values of a `clap` box. */
export type Turn =
  | { readonly quarters: number }
  | { readonly mirror: 'upside down' | 'left to right' }
  | { readonly crop: readonly number[] };

const TURNS = ['irot', 'imir'];
const CROP = 'clap';
/** Width, height and offsets of the centre, as fractions of 32 bits each. */
const CROP_VALUES = 8;
/** An image has one of each; every one costs a copy of its pixels. */
const MAX_TURNS = 4;

/**
 * How the primary image of a HEIF file is turned and mirrored, and, with `crops`, cropped, in this order. Layout: ISO/IEC 23008-12, sections 6.5.9,
 * 6.5.10 and 6.5.12; ISO/IEC 14496-12, section 12.1.4 (`clap`).
 */
export function turnsOf(content: Uint8Array, crops: boolean): readonly Turn[] {
  const view = viewOf(content);
  const turns = primaryProperties(content).flatMap(({ type, start }): readonly Turn[] => {
    if (type === CROP && crops)
      return [{ crop: Array.from({ length: CROP_VALUES }, (_, index) => view.getInt32(start + 4 * index)) }];
    if (!TURNS.includes(type)) return [];
    const value = view.getUint8(start);
    if (type === 'irot') return (value & 3) === 0 ? [] : [{ quarters: value & 3 }];
    return [{ mirror: (value & 1) === 0 ? 'upside down' : 'left to right' }];
  });
  if (turns.length > MAX_TURNS) throw new DamagedImage('it is turned more often than an image');
  return turns;
}

/** The file with images as they are stored, but for other turns than `turns`: each of these is made one by no angle. */
export function withoutTurns(content: Uint8Array, turns: readonly Turn[]): Uint8Array {
  const copy = Buffer.from(content);
  const crops = turns.some((turn) => 'crop' in turn);
  for (const { start } of turnBoxes(content, crops)) {
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
    const size = await before.metadata();
    turned = openRaw(await readPixels(() => applied(before.clone(), turn, size)));
  }
  return turned;
}

function applied(image: Sharp, turn: Turn, size: Size): Sharp {
  if ('crop' in turn) return image.extract(cropped(turn.crop, size));
  if ('quarters' in turn) return image.rotate(360 - turn.quarters * 90);
  return turn.mirror === 'upside down' ? image.flip() : image.flop();
}

/** As libheif counts it. */
function cropped(values: readonly number[], size: Size): Region {
  const [width = 0, widthOf = 0, height = 0, heightOf = 0, x = 0, xOf = 0, y = 0, yOf = 0] = values;
  const [across, down] = [width / widthOf, height / heightOf];
  return {
    left: Math.floor(x / xOf + (size.width - across) / 2),
    top: Math.floor(y / yOf + (size.height - down) / 2),
    width: Math.floor(across),
    height: Math.floor(down),
  };
}

/** The properties that turn an image. */
function turnBoxes(content: Uint8Array, crops: boolean): readonly Box[] {
  return allProperties(content).filter(
    ({ type, start, end }) => (TURNS.includes(type) || (crops && type === CROP)) && start < end,
  );
}
