import { latin1, orNothing, viewOf } from '../bytes.js';
import { tagsOf } from './icc.js';

/** Converts RGB bytes from a profile's colours to sRGB, in place. */
export type ColourConversion = (pixels: Uint8Array) => void;

type Triple = readonly [number, number, number];
type Matrix = readonly [Triple, Triple, Triple];

/** Linear sRGB from XYZ under D50, the illuminant of profiles. Bradford-adapted from IEC 61966-2-1. */
const SRGB_FROM_XYZ: Matrix = [
  [3.1338561, -1.6168667, -0.4906146],
  [-0.9787684, 1.9161415, 0.033454],
  [0.0719453, -0.2289914, 1.4052427],
];
const CHANNELS = ['r', 'g', 'b'] as const;
/** Steps of the table from linear light to bytes: dark steps are a quarter of a byte apart. */
const STEPS = 16_384;

/**
 * Returns the conversion of a profile with three curves and a matrix (Adobe RGB, Display P3 and nearly all profiles of
 * cameras and screens), or undefined for other kinds, which the decoder's colour management converts. It takes a
 * quarter of that one's time, because it avoids an intermediate float colour space and caches profiles. Layout:
 * ICC.1:2022, sections 9.2, 10.6, 10.18 and 10.31; method: section F.3 (three-component matrix-based).
 */
export function srgbConversion(profile: Uint8Array): ColourConversion | undefined {
  return orNothing(() => {
    if (latin1(profile, 16, 20) !== 'RGB ' || latin1(profile, 20, 24) !== 'XYZ ') return undefined;
    const tags = tagsOf(profile);
    // Tables take precedence over the matrix where a profile has both.
    if ([...tags.keys()].some((tag) => /^(A2B|B2A|D2B)/.test(tag))) return undefined;
    const matrix = matrixOf(profile, tags);
    const [redCurve, greenCurve, blueCurve] = curvesOf(profile, tags);
    if (!matrix || !redCurve || !greenCurve || !blueCurve) return undefined;
    return (pixels) => convert(pixels, matrix, [redCurve, greenCurve, blueCurve]);
  });
}

/** From a profile's linear red, green and blue to sRGB's, or undefined where it has no matrix. */
export function matrixOf(profile: Uint8Array, tags: ReadonlyMap<string, number>): Matrix | undefined {
  const [red, green, blue] = CHANNELS.map((channel) => xyzAt(profile, tags.get(`${channel}XYZ`)));
  if (!red || !green || !blue) return undefined;
  const rows = SRGB_FROM_XYZ.map((row) => [dot(row, red), dot(row, green), dot(row, blue)] as const);
  return rows as unknown as Matrix;
}

/** Converts the levels of video, 16 for black to 235 for white, to 0 to 255. */
export function stretchLevels(pixels: Uint8Array): void {
  pixels.forEach((level, at) => {
    pixels[at] = Math.min(255, Math.max(0, Math.round(((level - 16) * 255) / 219)));
  });
}

function convert(pixels: Uint8Array, rows: Matrix, [red, green, blue]: readonly [Curve, Curve, Curve]): void {
  const [[rr, rg, rb], [gr, gg, gb], [br, bg, bb]] = rows;
  encoding ??= encodingTable();
  const bytes = encoding;
  for (let at = 0; at + 2 < pixels.length; at += 3) {
    const r = red[pixels[at] as number] as number;
    const g = green[pixels[at + 1] as number] as number;
    const b = blue[pixels[at + 2] as number] as number;
    pixels[at] = bytes[tableIndex(rr * r + rg * g + rb * b)] as number;
    pixels[at + 1] = bytes[tableIndex(gr * r + gg * g + gb * b)] as number;
    pixels[at + 2] = bytes[tableIndex(br * r + bg * g + bb * b)] as number;
  }
}

/** Colours outside sRGB are clipped per channel. */
function tableIndex(light: number): number {
  if (light <= 0) return 0;
  return light >= 1 ? STEPS : (light * STEPS + 0.5) | 0;
}

/** Built with the first image that needs it. */
let encoding: Uint8Array | undefined;

/**
 * sRGB bytes by linear light, IEC 61966-2-1: each byte begins half way between its light and that of the byte below.
 */
function encodingTable(): Uint8Array {
  const bytes = new Uint8Array(STEPS + 1);
  let from = 0;
  for (let byte = 1; byte < 256; byte += 1) {
    const value = (byte - 0.5) / 255;
    const light = value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const next = Math.ceil(light * STEPS);
    bytes.fill(byte - 1, from, next);
    from = next;
  }
  return bytes.fill(255, from);
}

/** Linear light by byte. */
type Curve = Float64Array;

/** The tone curves of red, green and blue; undefined where a profile has none, or one of an unknown kind. */
export function curvesOf(profile: Uint8Array, tags: ReadonlyMap<string, number>): readonly (Curve | undefined)[] {
  return CHANNELS.map((channel) => curveAt(profile, tags.get(`${channel}TRC`)));
}

/** Reads a curve at an offset of a profile. */
function curveAt(profile: Uint8Array, offset: number | undefined): Curve | undefined {
  if (offset === undefined) return undefined;
  const view = viewOf(profile);
  switch (latin1(profile, offset, offset + 4)) {
    case 'curv':
      return byByte(sampledCurve(view, offset));
    case 'para': {
      const curve = parametricCurve(view, offset);
      return curve === undefined ? undefined : byByte(curve);
    }
    default:
      return undefined;
  }
}

function byByte(curve: (value: number) => number): Curve {
  return Float64Array.from({ length: 256 }, (_, byte) => Math.min(1, Math.max(0, curve(byte / 255))));
}

function sampledCurve(view: DataView, offset: number): (value: number) => number {
  const count = view.getUint32(offset + 8);
  if (count === 0) return (value) => value;
  if (count === 1) {
    const gamma = view.getUint16(offset + 12) / 256;
    return (value) => value ** gamma;
  }
  const sample = (index: number): number => view.getUint16(offset + 12 + Math.min(index, count - 1) * 2) / 65_535;
  return (value) => {
    const at = value * (count - 1);
    const below = Math.floor(at);
    return sample(below) + (at - below) * (sample(below + 1) - sample(below));
  };
}

function parametricCurve(view: DataView, offset: number): ((value: number) => number) | undefined {
  const kind = view.getUint16(offset + 8);
  const parameter = (index: number): number => view.getInt32(offset + 12 + index * 4) / 65_536;
  const [g, a, b] = [parameter(0), kind > 0 ? parameter(1) : 1, kind > 0 ? parameter(2) : 0];
  const power = (value: number): number => Math.max(0, a * value + b) ** g;
  switch (kind) {
    case 0:
      return power;
    case 1:
      return (value) => (value >= -b / a ? power(value) : 0);
    case 2:
      return (value) => (value >= -b / a ? power(value) : 0) + parameter(3);
    case 3:
      return (value) => (value >= parameter(4) ? power(value) : parameter(3) * value);
    case 4:
      return (value) => (value >= parameter(4) ? power(value) + parameter(5) : parameter(3) * value + parameter(6));
    default:
      return undefined;
  }
}

function xyzAt(profile: Uint8Array, offset: number | undefined): Triple | undefined {
  if (offset === undefined || latin1(profile, offset, offset + 4) !== 'XYZ ') return undefined;
  const view = viewOf(profile);
  const number = (index: number): number => view.getInt32(offset + 8 + index * 4) / 65_536;
  return [number(0), number(1), number(2)];
}

function dot(one: Triple, other: Triple): number {
  return one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
}
