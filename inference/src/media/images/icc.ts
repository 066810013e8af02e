import { ascii } from './formats.js';

/** The tag with an ICC profile's name. */
const NAME_TAG = 'desc';
const HEADER_BYTES = 128;
const TAG_BYTES = 12;
/** Maximum number of tags; real profiles have about twenty. */
const MAX_TAGS = 100;

/**
 * Whether an ICC profile is sRGB, by its name. Most are: converting by them changes nothing and costs more than
 * decoding. Linear profiles share only the primaries. Layout: ICC.1:2022, sections 7.3 and 10.13; the older `desc` type
 * by ICC.1:2001-04.
 */
export function isSrgbProfile(profile: Uint8Array): boolean {
  const name = profileName(profile);
  return name?.includes('sRGB') === true && !/linear/i.test(name);
}

function profileName(profile: Uint8Array): string | undefined {
  return orNothing(() => {
    const tag = tagsOf(profile).get(NAME_TAG);
    return tag === undefined ? undefined : nameAt(profile, viewOf(profile), tag);
  });
}

/** The position of each tag. Throws a RangeError for a broken profile. */
export function tagsOf(profile: Uint8Array): ReadonlyMap<string, number> {
  const view = viewOf(profile);
  const offsets = new Map<string, number>();
  const count = Math.min(view.getUint32(HEADER_BYTES), MAX_TAGS);
  for (let tag = 0; tag < count; tag += 1) {
    const entry = HEADER_BYTES + 4 + tag * TAG_BYTES;
    offsets.set(ascii(profile, entry, entry + 4), view.getUint32(entry + 4));
  }
  return offsets;
}

/** Returns what `read` finds in a profile; undefined for a broken one, which is left to the decoder. */
export function orNothing<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function nameAt(profile: Uint8Array, view: DataView, offset: number): string | undefined {
  const type = ascii(profile, offset, offset + 4);
  if (type === 'desc') return ascii(profile, offset + 12, offset + 12 + view.getUint32(offset + 8));
  if (type !== 'mluc') return undefined;
  // The first language is sufficient: the name is the same in all.
  const length = view.getUint32(offset + 20);
  const start = offset + view.getUint32(offset + 24);
  return Buffer.from(profile.subarray(start, start + length))
    .swap16()
    .toString('utf16le');
}
