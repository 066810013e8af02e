/** Layout of MPEG-TS packets: bytes before the sync byte of each, and packet stride. */
type TransportLayout = readonly [first: number, stride: number];

/** Plain, with a timestamp before each packet (M2TS), or with error correction bytes after each. */
const LAYOUTS: readonly TransportLayout[] = [
  [0, 188],
  [4, 192],
  [0, 204],
];
const SYNC = 0x47;
/** Consecutive packets required for detection, at the beginning and behind a part of a packet. */
const PACKETS = 4;
const PACKETS_BEHIND = 16;

/** Detects the packet layout of an MPEG-TS from its first bytes, which may be in the middle of a packet; undefined for other data. */
export function findTransportLayout(head: Uint8Array): TransportLayout | undefined {
  const layout = LAYOUTS.find(([first, stride]) => {
    const packets = Math.min(PACKETS, Math.ceil((head.length - first) / stride));
    return packets > 1 && hasPackets(head, first, stride, packets);
  });
  return (
    layout ??
    LAYOUTS.find(([, stride]) => {
      const packets = Math.floor(head.length / stride) - 1;
      if (packets < PACKETS_BEHIND) return false;
      return Array.from({ length: stride }).some((_, offset) => hasPackets(head, offset, stride, packets));
    })
  );
}

function hasPackets(head: Uint8Array, from: number, stride: number, packets: number): boolean {
  for (let index = 0; index < packets; index++) if (head[from + index * stride] !== SYNC) return false;
  return true;
}
