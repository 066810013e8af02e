/** Layout of MPEG-TS packets: bytes before the first sync byte, and packet stride. */
export type TransportLayout = readonly [first: number, stride: number];

/** Plain, with a timestamp before each packet (M2TS), or with error correction bytes after each. */
const LAYOUTS: readonly TransportLayout[] = [
  [0, 188],
  [4, 192],
  [0, 204],
];
const SYNC = 0x47;
/** Consecutive packets required for detection. */
const PACKETS = 4;

/** Detects the packet layout of an MPEG-TS from its first bytes; undefined for other data. */
export function findTransportLayout(head: Uint8Array): TransportLayout | undefined {
  return LAYOUTS.find(([first, stride]) => {
    const packets = Math.min(PACKETS, Math.ceil((head.length - first) / stride));
    return packets > 1 && Array.from({ length: packets }).every((_, index) => head[first + index * stride] === SYNC);
  });
}

/** Returns the packet layout of content detected as MPEG-TS. */
export function transportLayout(head: Uint8Array): TransportLayout {
  return findTransportLayout(head) ?? [0, 188];
}
