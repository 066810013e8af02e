import { PACKET_BYTES, packetsIn, payloadStart } from './transport-map.js';

/** Bytes of a PES header up to the length of what follows. */
const HEADER_BYTES = 9;
const BEGINS = 0x40;
const ADAPTED = 0x20;
/** Bytes up to the flags of an adaptation field. */
const FLAGS_OFFSET = 5;
const HAS_TIME = 0x80;

/**
 * Makes each PES packet of audio or video without a time a part of the one before it: a time every 0.7 s is enough (ISO 13818-1, 2.7.4),
 * but the demuxer ends there. Changes MPEG-TS packets in place: the header becomes stuffing, and no PES packet has a size.
 */
export function joinUntimed(packets: Uint8Array): void {
  for (const packet of packetsIn(packets)) {
    const start = payloadStart(packet);
    if (start === undefined || !isMedia(packet, start)) continue;
    const end = start + HEADER_BYTES + (packet[start + 8] ?? 0);
    if (((packet[start + 7] ?? 0) & HAS_TIME) !== 0) packet.writeUInt16BE(0, start + 4);
    else if (end <= PACKET_BYTES) hideHeader(packet, start, end);
  }
}

/** Whether a PES packet of audio or video begins at an offset. */
function isMedia(packet: Buffer, start: number): boolean {
  if (start + HEADER_BYTES > PACKET_BYTES || packet.readUIntBE(start, 3) !== 1) return false;
  const streamId = packet[start + 3] ?? 0;
  const isStream = (streamId >= 0xc0 && streamId <= 0xef) || streamId === 0xbd || streamId === 0xfd;
  return isStream && (packet[start + 6] ?? 0) >> 6 === 2;
}

/** Extends the adaptation field over a header. */
function hideHeader(packet: Buffer, start: number, end: number): void {
  const flags = start > FLAGS_OFFSET ? (packet[FLAGS_OFFSET] ?? 0) : 0;
  packet.fill(0xff, Math.max(start, FLAGS_OFFSET), end);
  packet[1] = (packet[1] ?? 0) & ~BEGINS;
  packet[3] = (packet[3] ?? 0) | ADAPTED;
  packet[4] = end - FLAGS_OFFSET;
  packet[FLAGS_OFFSET] = flags;
}
