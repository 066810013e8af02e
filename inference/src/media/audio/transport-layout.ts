/** Bytes before the sync byte of a packet of MPEG-TS, and from packet to packet. */
export type TransportLayout = readonly [first: number, stride: number];

/** As they are, with a time before each (M2TS), or with check bytes behind each. */
const LAYOUTS: readonly TransportLayout[] = [
  [0, 188],
  [4, 192],
  [0, 204],
];
const SYNC = 0x47;
/** Packets in a row that make it certain. */
const PACKETS = 4;

/** How the packets of an MPEG-TS lie, by its first bytes; undefined: it is none. */
export function findTransportLayout(head: Uint8Array): TransportLayout | undefined {
  return LAYOUTS.find(([first, stride]) => {
    const packets = Math.min(PACKETS, Math.ceil((head.length - first) / stride));
    return packets > 1 && Array.from({ length: packets }).every((_, index) => head[first + index * stride] === SYNC);
  });
}

/** Of content that was found to be MPEG-TS. */
export function transportLayout(head: Uint8Array): TransportLayout {
  return findTransportLayout(head) ?? [0, 188];
}
