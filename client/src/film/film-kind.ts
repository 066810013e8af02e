/** Containers of films that are taken apart here. */
export type FilmKind = 'mp4' | 'matroska' | 'mpeg-ts';

/** Bytes that tell the kind. */
export const HEAD_BYTES = 1_024;

const MP4_BOXES = ['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp'];
const EBML = 0x1a45dfa3;
const SYNC = 0x47;

/** How the packets of MPEG-TS lie: bytes before the first one's sync byte, and bytes from packet to packet. */
export interface TransportLayout {
  readonly first: number;
  readonly stride: number;
}

const LAYOUTS: readonly TransportLayout[] = [
  { first: 0, stride: 188 },
  { first: 4, stride: 192 },
  { first: 0, stride: 204 },
];

/** The kind of a film by its first bytes; undefined: something else, such as a WAV or an MP3 file. */
export function filmKindOf(head: Uint8Array): FilmKind | undefined {
  if (head.length < 8) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (MP4_BOXES.includes(String.fromCharCode(...head.subarray(4, 8)))) return 'mp4';
  if (view.getUint32(0) === EBML) return 'matroska';
  return transportLayoutOf(head) === undefined ? undefined : 'mpeg-ts';
}

/** The layout of MPEG-TS by its first bytes; undefined: it is something else. */
export function transportLayoutOf(head: Uint8Array): TransportLayout | undefined {
  return LAYOUTS.find(({ first, stride }) =>
    [0, 1, 2, 3].every((index) => head[first + index * stride] === SYNC),
  );
}
