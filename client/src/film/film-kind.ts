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
  return LAYOUTS.find(({ first, stride }) => [0, 1, 2, 3].every((index) => head[first + index * stride] === SYNC));
}

/** Whether a Matroska file is shorter than its header says: what is left of its last cluster is read by the server alone. */
export function isCutMatroska(head: Uint8Array, sizeBytes: number): boolean {
  const header = elementAt(head, 0);
  const segment = header && elementAt(head, header.end);
  return segment?.end !== undefined && segment.id === SEGMENT && segment.end > sizeBytes;
}

const SEGMENT = 0x18538067;

/** An element of EBML with an id of four bytes; its end is 0 where the size is not known. */
function elementAt(head: Uint8Array, at: number): { readonly id: number; readonly end: number } | undefined {
  const first = head[at + 4];
  if (first === undefined || first === 0 || at + 12 > head.length) return undefined;
  const length = Math.clz32(first) - 23;
  const values = [first & (0xff >> length), ...head.subarray(at + 5, at + 4 + length)];
  const unknown = values.slice(1).every((value) => value === 0xff) && values[0] === 0xff >> length;
  const size = values.reduce((sum, value) => sum * 256 + value, 0);
  const id = new DataView(head.buffer, head.byteOffset + at, 4).getUint32(0);
  return { id, end: unknown ? 0 : at + 4 + length + size };
}
