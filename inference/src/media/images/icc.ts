/** The tag of an ICC profile that holds its name. */
const NAME_TAG = 'desc';
const HEADER_BYTES = 128;
const TAG_BYTES = 12;

/**
 * Whether an ICC profile is sRGB by its name. Most profiles in pictures are: they change nothing, yet converting by them
 * costs more than decoding does. Layout: ICC.1:2022, sections 7.3 and 10.13; the older `desc` type by ICC.1:2001-04.
 */
export function isSrgbProfile(profile: Uint8Array): boolean {
  return profileName(profile)?.includes('sRGB') === true;
}

function profileName(profile: Uint8Array): string | undefined {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength);
  try {
    const tags = view.getUint32(HEADER_BYTES);
    for (let tag = 0; tag < tags; tag += 1) {
      const entry = HEADER_BYTES + 4 + tag * TAG_BYTES;
      if (ascii(profile, entry, 4) === NAME_TAG) return nameAt(profile, view, view.getUint32(entry + 4));
    }
  } catch (error) {
    // A broken profile has no name; the decoder then does with it what it can.
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

function nameAt(profile: Uint8Array, view: DataView, offset: number): string | undefined {
  const type = ascii(profile, offset, 4);
  if (type === 'desc') return ascii(profile, offset + 12, view.getUint32(offset + 8));
  if (type !== 'mluc') return undefined;
  // The first language will do: the name is the same in all.
  const length = view.getUint32(offset + 20);
  const start = offset + view.getUint32(offset + 24);
  return Buffer.from(profile.subarray(start, start + length))
    .swap16()
    .toString('utf16le');
}

function ascii(bytes: Uint8Array, start: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', start, start + length);
}
