/** Container formats from which the client extracts audio. */
export type ContainerKind = 'mp4' | 'matroska' | 'mpeg-ts';

/** Bytes needed to detect the format. */
export const HEAD_BYTES = 1_024;

const MP4_BOXES = ['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp'];
const EBML = 0x1a45dfa3;
const SYNC = 0x47;

/** Packet layout of an MPEG-TS: bytes before the first sync byte, and the packet stride in bytes. */
export interface TransportLayout {
  readonly first: number;
  readonly stride: number;
}

const LAYOUTS: readonly TransportLayout[] = [
  { first: 0, stride: 188 },
  { first: 4, stride: 192 },
  { first: 0, stride: 204 },
];

/** Detects the format from the first bytes. Returns undefined for anything else, such as WAV or MP3. */
export function containerKindOf(head: Uint8Array): ContainerKind | undefined {
  if (head.length < 8) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (MP4_BOXES.includes(String.fromCharCode(...head.subarray(4, 8)))) return 'mp4';
  if (view.getUint32(0) === EBML) return 'matroska';
  return transportLayoutOf(head) === undefined ? undefined : 'mpeg-ts';
}

/** Detects the MPEG-TS packet layout from the first bytes. Returns undefined for any other format. */
export function transportLayoutOf(head: Uint8Array): TransportLayout | undefined {
  return LAYOUTS.find(({ first, stride }) => [0, 1, 2, 3].every((index) => head[first + index * stride] === SYNC));
}

/**
 * Whether a Matroska file is shorter than its header declares, or another one follows it. Only the server can read its partial last
 * cluster, or what follows.
 */
export function isOfOtherLength(head: Uint8Array, sizeBytes: number): boolean {
  const header = elementAt(head, 0);
  const segment = header && elementAt(head, header.end);
  return segment?.end !== undefined && segment.id === SEGMENT && segment.end !== 0 && segment.end !== sizeBytes;
}

const SEGMENT = 0x18538067;

/** Parses an EBML element with a four-byte id; `end` is 0 for an unknown size. */
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
