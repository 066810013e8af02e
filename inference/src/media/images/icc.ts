import { latin1, viewOf } from '../bytes.js';

const HEADER_BYTES = 128;
const TAG_BYTES = 12;
/** Maximum number of tags; real profiles have about twenty. */
const MAX_TAGS = 100;

/** Whether bytes are marked as a profile and are all of it. */
export function isProfile(bytes: Uint8Array): boolean {
  return bytes.length > HEADER_BYTES && viewOf(bytes).getUint32(0) === bytes.length && latin1(bytes, 36, 40) === 'acsp';
}

/** The position of each tag. Throws a RangeError for a broken profile. */
export function tagsOf(profile: Uint8Array): ReadonlyMap<string, number> {
  const view = viewOf(profile);
  const offsets = new Map<string, number>();
  const count = Math.min(view.getUint32(HEADER_BYTES), MAX_TAGS);
  for (let tag = 0; tag < count; tag += 1) {
    const entry = HEADER_BYTES + 4 + tag * TAG_BYTES;
    offsets.set(latin1(profile, entry, entry + 4), view.getUint32(entry + 4));
  }
  return offsets;
}
