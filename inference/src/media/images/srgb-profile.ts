import { latin1, orNothing, viewOf } from '../bytes.js';
import { curvesOf, matrixOf } from './colours.js';
import { tagsOf } from './icc.js';

/** The tag with an ICC profile's name. */
const NAME_TAG = 'desc';
/** The middle byte and its light; a gamma of 2.2 differs by 0.004, L* by 0.03, the curve of television by 0.05. */
const MIDDLE_BYTE = 128;
const MIDDLE_LIGHT = 0.2159;
const MAX_DIFFERENCE = 0.02;

/**
 * Whether an ICC profile is sRGB, by its name, its curves and its primaries. Most are: converting by them changes nothing and costs
 * more than decoding. Profiles that share only one of the two with sRGB are named after it too, such as "sRGB-elle-V2-g10.icc" and
 * "Rec2020 Gamut with sRGB Transfer". Layout: ICC.1:2022, sections 7.3 and
 * 10.13; the older `desc` type by ICC.1:2001-04.
 */
export function isSrgbProfile(profile: Uint8Array): boolean {
  const name = profileName(profile);
  const named = name?.includes('sRGB') === true && !/linear/i.test(name);
  return named && hasSrgbCurves(profile) && hasSrgbPrimaries(profile);
}

/** A profile without curves, or with curves of another kind, is judged by its name. */
function hasSrgbCurves(profile: Uint8Array): boolean {
  const curves = orNothing(() => curvesOf(profile, tagsOf(profile)));
  const lights = curves?.map((curve) => curve?.[MIDDLE_BYTE] ?? MIDDLE_LIGHT) ?? [];
  return lights.every((light) => Math.abs(light - MIDDLE_LIGHT) < MAX_DIFFERENCE);
}

/** A profile without a matrix is judged by its name. */
function hasSrgbPrimaries(profile: Uint8Array): boolean {
  const matrix = orNothing(() => matrixOf(profile, tagsOf(profile))) ?? [];
  return matrix.every((row, at) => row.every((value, to) => Math.abs(value - (at === to ? 1 : 0)) < MAX_DIFFERENCE));
}

function profileName(profile: Uint8Array): string | undefined {
  return orNothing(() => {
    const tag = tagsOf(profile).get(NAME_TAG);
    return tag === undefined ? undefined : nameAt(profile, viewOf(profile), tag);
  });
}

function nameAt(profile: Uint8Array, view: DataView, offset: number): string | undefined {
  const type = latin1(profile, offset, offset + 4);
  if (type === 'desc') return latin1(profile, offset + 12, offset + 12 + view.getUint32(offset + 8));
  if (type !== 'mluc') return undefined;
  // The first language is sufficient: the name is the same in all.
  const length = view.getUint32(offset + 20);
  const start = offset + view.getUint32(offset + 24);
  return Buffer.from(profile.subarray(start, start + length))
    .swap16()
    .toString('utf16le');
}
