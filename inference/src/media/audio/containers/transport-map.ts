/** Reads the program maps of an MPEG-TS (ISO 13818-1), in packets of 188 bytes. */

import { joinAll } from '../../bytes.js';
import { frameLength } from '../mpeg-frames.js';
import { adtsLengthAt } from './frame-resync.js';

export const PACKET_BYTES = 188;
const SYNC = 0x47;
/** In the fourth byte of a packet. */
const SCRAMBLED = 0xc0;
/** Stream type of data that its descriptors may name. */
export const PRIVATE_DATA = 6;
export const AAC = 15;
const MPEG_AUDIO = 3;
/** E-AC-3 of Blu-ray and of ATSC. */
const BLU_RAY_EAC3 = 132;
const ATSC_EAC3 = 135;
const AUDIO: ReadonlySet<number> = new Set([MPEG_AUDIO, 4, AAC, 129, BLU_RAY_EAC3, ATSC_EAC3]);
/** Tags of the descriptors of AC-3 and E-AC-3. */
const DVB_AUDIO: ReadonlySet<number> = new Set([0x6a, 0x7a]);
/** The numbers of tables. */
const PROGRAM_LIST = 0;
const PROGRAM_MAP = 2;
const NO_TABLE = 0xff;
/** The number that a list of programs gives network information. */
const NO_PROGRAM = 0;
/** Tag of the descriptor that names private data in four letters. */
export const REGISTRATION_TAG = 5;
const BLU_RAY_REGISTRATION = 'HDMV';

/** A section of a table without its checksum, as a view of the packets. */
interface Section {
  readonly pid: number;
  readonly section: Buffer;
}
type ProgramMap = Section;

interface ListedProgram {
  readonly number: number;
  readonly mapPid: number;
  /** Its number and the id, as a view of the packets. */
  readonly entry: Buffer;
}

/** A stream that a program map lists. */
export interface StreamEntry {
  readonly type: number;
  readonly pid: number;
  readonly descriptors: Buffer;
  /** The program is registered as one of Blu-ray. */
  readonly bluRay: boolean;
  /** Of which the first byte is its type, as a view of the packets. */
  readonly entry: Buffer;
}

/** What is to be written into the packets. */
interface Change {
  readonly to: Buffer;
  readonly bytes: readonly number[];
}

/** Returns the program maps. */
export function mapsIn(packets: Uint8Array): readonly ProgramMap[] {
  const sections = sectionsIn(packets);
  return mapsOf(programsIn(sections), sections);
}

function mapsOf(programs: readonly ListedProgram[], sections: readonly Section[]): readonly ProgramMap[] {
  const pids = new Set(programs.map(({ mapPid }) => mapPid));
  return sections.filter(({ pid, section }) => pids.has(pid) && section[0] === PROGRAM_MAP);
}

/** Returns the programs of the first list: the demuxer reads no other. */
function programsIn(sections: readonly Section[]): readonly ListedProgram[] {
  const list = sections.find(({ pid, section }) => pid === 0 && section[0] === PROGRAM_LIST);
  const programs: ListedProgram[] = [];
  for (let at = 8; list !== undefined && at + 4 <= list.section.length; at += 4) {
    const entry = list.section.subarray(at, at + 4);
    const number = entry.readUInt16BE(0);
    if (number !== NO_PROGRAM) programs.push({ number, mapPid: entry.readUInt16BE(2) & 0x1fff, entry });
  }
  return programs;
}

/** Returns the streams of a map. */
export function streamsOf({ section }: ProgramMap): readonly StreamEntry[] {
  if (section.length < 12) return [];
  const streams: StreamEntry[] = [];
  const programEnd = 12 + (section.readUInt16BE(10) & 0x0fff);
  const bluRay = section.subarray(12, programEnd).includes(BLU_RAY_REGISTRATION, 0, 'latin1');
  for (let at = programEnd; at + 5 <= section.length; ) {
    const end = at + 5 + (section.readUInt16BE(at + 3) & 0x0fff);
    const descriptors = section.subarray(at + 5, end);
    const entry = section.subarray(at, end);
    streams.push({ type: entry[0] ?? 0, pid: entry.readUInt16BE(1) & 0x1fff, descriptors, bluRay, entry });
    at = end;
  }
  return streams;
}

/** Returns packets with those of each program map next to each other: the demuxer takes another packet for its end. */
export function gatherMaps(packets: Uint8Array): Uint8Array {
  const groups: Uint8Array[][] = [];
  const maps = new Map<number, { readonly group: Uint8Array[]; missingBytes: number }>();
  for (const packet of packetsIn(packets)) {
    const pid = pidOf(packet);
    const begins = payloadStart(packet) !== undefined;
    const map = maps.get(pid);
    if (map !== undefined && map.missingBytes > 0 && !begins) {
      map.group.push(packet);
      map.missingBytes -= PACKET_BYTES - 4;
      continue;
    }
    const group = [packet];
    groups.push(group);
    if (begins) maps.delete(pid);
    const start = sectionStart(packet);
    if (start !== undefined && packet[start] === PROGRAM_MAP)
      maps.set(pid, { group, missingBytes: sectionBytes(packet, start) - (PACKET_BYTES - start) });
  }
  return joinAll([...groups.flat(), packets.subarray(packets.length - (packets.length % PACKET_BYTES))]);
}

/** The program that is read. */
interface Program {
  readonly map: ProgramMap;
  /** How many are listed. */
  readonly programCount: number;
  /** What hides the others from the demuxer, which refuses several. */
  readonly changes: readonly Change[];
}

/** Returns the only program, or the first with audio; `complete`: or else the first. Undefined: more packets are needed. */
export function firstProgram(packets: Uint8Array, complete: boolean): Program | undefined {
  const sections = sectionsIn(packets);
  const programs = programsIn(sections);
  const maps = mapsOf(programs, sections);
  const { length: programCount } = programs;
  const first = complete || programCount < 2 ? maps[0] : undefined;
  const map = maps.find((each) => streamsOf(each).some(isAudio)) ?? first;
  if (map === undefined) return undefined;
  if (programCount < 2) return { map, programCount, changes: [] };
  const others = programs.filter(({ number }) => number !== numberOf(map));
  const otherMaps = maps.filter((each) => numberOf(each) !== numberOf(map));
  const changes = [
    ...others.map(({ entry }) => ({ to: entry, bytes: [NO_PROGRAM, NO_PROGRAM] })),
    ...otherMaps.map(({ section }) => ({ to: section, bytes: [NO_TABLE] })),
  ];
  return { map, programCount, changes };
}

/**
 * Returns the stream types to write instead in a map: of private data that is AAC in ADTS frames or MPEG audio by its first bytes, and of
 * E-AC-3 by Blu-ray's number. Undefined: more packets are needed.
 */
export function audioWithoutName(packets: Uint8Array, map: ProgramMap): readonly Change[] | undefined {
  const changes: Change[] = [];
  for (const { type, pid, descriptors, bluRay, entry } of streamsOf(map)) {
    if (bluRay && type === BLU_RAY_EAC3) changes.push({ to: entry, bytes: [ATSC_EAC3] });
    if (type !== PRIVATE_DATA || hasName(descriptors)) continue;
    const begins = payloadOf(packets, pid);
    if (begins === undefined) return undefined;
    // The whole header counts: FLAC begins like AAC, and the demuxer fails on what is neither.
    if (typeof adtsLengthAt(begins, 0) === 'number') changes.push({ to: entry, bytes: [AAC] });
    else if (frameLength(begins, 0) !== undefined) changes.push({ to: entry, bytes: [MPEG_AUDIO] });
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

/** Whether this is audio that the demuxer may read. */
function isAudio({ type, descriptors }: StreamEntry): boolean {
  if (type !== PRIVATE_DATA) return AUDIO.has(type);
  return !hasName(descriptors) || [...descriptorsIn(descriptors)].some(({ tag }) => DVB_AUDIO.has(tag));
}

/** A registration or a descriptor of DVB says what private data is. */
function hasName(descriptors: Buffer): boolean {
  return [...descriptorsIn(descriptors)].some(({ tag }) => tag === REGISTRATION_TAG || tag >= 0x40);
}

/** The first bytes of a stream's first packet of data (PES). */
function payloadOf(packets: Uint8Array, pid: number): Buffer | undefined {
  for (const packet of packetsIn(packets)) {
    if (payloadStart(packet) !== undefined && pidOf(packet) === pid) return contentOf(packet);
  }
  return undefined;
}

/** The whole packets, as views. */
export function* packetsIn(packets: Uint8Array): Iterable<Buffer> {
  for (let at = 0; at + PACKET_BYTES <= packets.length; at += PACKET_BYTES)
    yield Buffer.from(packets.buffer, packets.byteOffset + at, PACKET_BYTES);
}

/** The payload of a packet, without the header of its data (PES). */
export function contentOf(packet: Buffer): Buffer {
  const control = ((packet[3] ?? 0) >> 4) & 3;
  const start = (control & 1) === 0 ? PACKET_BYTES : control === 3 ? 5 + (packet[4] ?? 0) : 4;
  const begins = ((packet[1] ?? 0) & 0x40) !== 0;
  return packet.subarray(begins ? start + 9 + (packet[start + 8] ?? 0) : start);
}

/** Whether most packets are scrambled, as those of pay television. */
export function isScrambled(packets: Uint8Array): boolean {
  let scrambled = 0;
  for (const packet of packetsIn(packets)) if (((packet[3] ?? 0) & SCRAMBLED) !== 0) scrambled += 1;
  return scrambled > packets.length / PACKET_BYTES / 2;
}

export function pidOf(packet: Buffer): number {
  return packet.readUInt16BE(1) & 0x1fff;
}

/** Where a packet's payload begins; undefined if it has none, or the rest of an earlier one. */
export function payloadStart(packet: Buffer): number | undefined {
  const control = ((packet[3] ?? 0) >> 4) & 3;
  if (packet[0] !== SYNC || ((packet[1] ?? 0) & 0x40) === 0 || (control & 1) === 0) return undefined;
  return control === 3 ? 5 + (packet[4] ?? 0) : 4;
}

/** Returns the sections that lie within a packet, as nearly all do. */
function sectionsIn(packets: Uint8Array): readonly Section[] {
  const sections: Section[] = [];
  for (const packet of packetsIn(packets)) {
    const start = sectionStart(packet);
    const section = start === undefined ? undefined : sectionAt(packet, start);
    if (section !== undefined) sections.push({ pid: pidOf(packet), section });
  }
  return sections;
}

/** The number of a map's program. */
function numberOf({ section }: ProgramMap): number {
  return section.readUInt16BE(3);
}

/** Where a section begins in a packet; undefined if none does. */
function sectionStart(packet: Buffer): number | undefined {
  const pointer = payloadStart(packet);
  if (pointer === undefined) return undefined;
  const start = pointer + 1 + (packet[pointer] ?? 0);
  return start + 3 > packet.length ? undefined : start;
}

/** The length of a section that begins in a packet. */
function sectionBytes(packet: Buffer, start: number): number {
  return 3 + (packet.readUInt16BE(start + 1) & 0x0fff);
}

/** A section without its checksum; undefined if not all of it is in the packet. */
function sectionAt(packet: Buffer, start: number): Buffer | undefined {
  const end = start + sectionBytes(packet, start) - 4;
  return end <= packet.length && end > start + 8 ? packet.subarray(start, end) : undefined;
}
