/** Reads the program maps of an MPEG-TS (ISO 13818-1), in packets of 188 bytes. */

import { frameLength } from '../mpeg-frames.js';
import { adtsLengthAt } from './frame-resync.js';

const PACKET_BYTES = 188;
const SYNC = 0x47;
/** Stream type of data that its descriptors may name. */
export const PRIVATE_DATA = 6;
export const AAC = 15;
const MPEG_AUDIO = 3;
/** E-AC-3 of Blu-ray and of ATSC. */
const BLU_RAY_EAC3 = 132;
const ATSC_EAC3 = 135;
/** Tag of the descriptor that names private data in four letters. */
export const REGISTRATION_TAG = 5;
const BLU_RAY_REGISTRATION = 'HDMV';

/** A program map: its section without the checksum, and where it is. */
interface ProgramMap {
  readonly section: Buffer;
  readonly at: number;
}

/** A stream that a program map lists. */
export interface StreamEntry {
  readonly type: number;
  readonly pid: number;
  readonly descriptors: Buffer;
  /** The program is registered as one of Blu-ray. */
  readonly bluRay: boolean;
  /** Offset of its type. */
  readonly at: number;
}

/** Returns the program maps. Only sections that lie within a packet are read, as nearly all do. */
export function mapsIn(packets: Uint8Array): readonly ProgramMap[] {
  const pids = new Set<number>();
  const maps: ProgramMap[] = [];
  for (let at = 0; at + PACKET_BYTES <= packets.length; at += PACKET_BYTES) {
    const packet = packetAt(packets, at);
    const start = sectionStart(packet);
    const section = start === undefined ? undefined : sectionAt(packet, start);
    if (start === undefined || section === undefined) continue;
    const pid = pidOf(packet);
    if (pid === 0 && section[0] === 0) for (const map of programMaps(section)) pids.add(map);
    if (pids.has(pid) && section[0] === 2) maps.push({ section, at: at + start });
  }
  return maps;
}

/** Returns the streams of a map, which is at an offset. */
export function streamsOf(section: Buffer, mapAt: number): readonly StreamEntry[] {
  if (section.length < 12) return [];
  const streams: StreamEntry[] = [];
  const programEnd = 12 + (section.readUInt16BE(10) & 0x0fff);
  const bluRay = section.subarray(12, programEnd).includes(BLU_RAY_REGISTRATION, 0, 'latin1');
  for (let at = programEnd; at + 5 <= section.length; ) {
    const end = at + 5 + (section.readUInt16BE(at + 3) & 0x0fff);
    const descriptors = section.subarray(at + 5, end);
    const pid = section.readUInt16BE(at + 1) & 0x1fff;
    streams.push({ type: section[at] ?? 0, pid, descriptors, bluRay, at: mapAt + at });
    at = end;
  }
  return streams;
}

/**
 * Returns the stream types to write instead, by their offsets: of private data that is AAC in ADTS frames or MPEG audio by its
 * first bytes, and of E-AC-3 by Blu-ray's number. Undefined: more packets are needed.
 */
export function audioWithoutName(
  packets: Uint8Array,
): readonly { readonly at: number; readonly streamType: number }[] | undefined {
  const [map] = mapsIn(packets);
  if (map === undefined) return undefined;
  const changes: { at: number; streamType: number }[] = [];
  for (const { type, pid, descriptors, bluRay, at } of streamsOf(map.section, map.at)) {
    if (bluRay && type === BLU_RAY_EAC3) changes.push({ at, streamType: ATSC_EAC3 });
    if (type !== PRIVATE_DATA || hasName(descriptors)) continue;
    const begins = payloadOf(packets, pid);
    if (begins === undefined) return undefined;
    // The whole header counts: FLAC begins like AAC, and the demuxer fails on what is neither.
    if (typeof adtsLengthAt(begins, 0) === 'number') changes.push({ at, streamType: AAC });
    else if (frameLength(begins, 0) !== undefined) changes.push({ at, streamType: MPEG_AUDIO });
  }
  return changes;
}

/** The descriptors of a stream. */
export function* descriptorsIn(bytes: Buffer): Iterable<{ readonly tag: number; readonly content: Buffer }> {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + (bytes[at + 1] ?? 0);
    yield { tag: bytes[at] ?? 0, content: bytes.subarray(at + 2, end) };
    at = end;
  }
}

/** A registration or a descriptor of DVB says what private data is. */
function hasName(descriptors: Buffer): boolean {
  return [...descriptorsIn(descriptors)].some(({ tag }) => tag === REGISTRATION_TAG || tag >= 0x40);
}

/** The first bytes of a stream's first packet of data (PES). */
function payloadOf(packets: Uint8Array, pid: number): Buffer | undefined {
  for (let at = 0; at + PACKET_BYTES <= packets.length; at += PACKET_BYTES) {
    const packet = packetAt(packets, at);
    const start = payloadStart(packet);
    if (start !== undefined && pidOf(packet) === pid) return packet.subarray(start + 9 + (packet[start + 8] ?? 0));
  }
  return undefined;
}

function packetAt(packets: Uint8Array, at: number): Buffer {
  return Buffer.from(packets.buffer, packets.byteOffset + at, PACKET_BYTES);
}

/** The payload of a packet at an offset, without the header of its data (PES). */
export function contentAt(packets: Uint8Array, at: number): { readonly pid: number; readonly content: Buffer } {
  const packet = packetAt(packets, at);
  const control = ((packet[3] ?? 0) >> 4) & 3;
  const start = (control & 1) === 0 ? PACKET_BYTES : control === 3 ? 5 + (packet[4] ?? 0) : 4;
  const begins = ((packet[1] ?? 0) & 0x40) !== 0;
  return { pid: pidOf(packet), content: packet.subarray(begins ? start + 9 + (packet[start + 8] ?? 0) : start) };
}

function pidOf(packet: Buffer): number {
  return packet.readUInt16BE(1) & 0x1fff;
}

/** Where a packet's payload begins; undefined if it has none, or the rest of an earlier one. */
function payloadStart(packet: Buffer): number | undefined {
  const control = ((packet[3] ?? 0) >> 4) & 3;
  if (packet[0] !== SYNC || ((packet[1] ?? 0) & 0x40) === 0 || (control & 1) === 0) return undefined;
  return control === 3 ? 5 + (packet[4] ?? 0) : 4;
}

/** Where a section begins in a packet; undefined if none does. */
function sectionStart(packet: Buffer): number | undefined {
  const pointer = payloadStart(packet);
  if (pointer === undefined) return undefined;
  const start = pointer + 1 + (packet[pointer] ?? 0);
  return start + 3 > packet.length ? undefined : start;
}

/** A section without its checksum; undefined if not all of it is in the packet. */
function sectionAt(packet: Buffer, start: number): Buffer | undefined {
  const end = start + 3 + (packet.readUInt16BE(start + 1) & 0x0fff) - 4;
  return end <= packet.length && end > start + 8 ? packet.subarray(start, end) : undefined;
}

function programMaps(section: Buffer): number[] {
  const pids: number[] = [];
  for (let at = 8; at + 4 <= section.length; at += 4) pids.push(section.readUInt16BE(at + 2) & 0x1fff);
  return pids;
}
