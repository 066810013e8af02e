import { transportLayout } from '../transport-layout.js';

const PACKET_BYTES = 188;
const SYNC = 0x47;
/** Audio by stream type that the demuxer leaves out (ISO 13818-1, table 2-34; ATSC A/53; SCTE). */
const STREAM_TYPES: Readonly<Record<number, string>> = {
  17: 'AAC in LATM frames',
  28: 'MPEG-4 audio without a container',
  45: 'MPEG-H',
  131: 'Dolby TrueHD',
  134: 'DTS-HD',
};
const PRIVATE_DATA = 6;
/** Audio in private data by its registration descriptor. */
const REGISTRATIONS: Readonly<Record<string, string>> = {
  Opus: 'Opus in MPEG-TS',
  BSSD: 'SMPTE 302M',
  'AC-4': 'AC-4',
  DTS1: 'DTS',
  DTS2: 'DTS',
  DTS3: 'DTS',
};
const REGISTRATION_TAG = 5;

/**
 * Returns the names of the unsupported audio that the program maps in the first bytes of an MPEG-TS list, to name it in an error.
 * Only sections that lie within a packet are read, as nearly all do.
 */
export function unsupportedTransportAudio(head: Uint8Array): readonly string[] {
  const [first, stride] = transportLayout(head);
  const maps = new Set<number>();
  const names = new Set<string>();
  for (let at = first; at + PACKET_BYTES <= head.length; at += stride) {
    const packet = Buffer.from(head.buffer, head.byteOffset + at, PACKET_BYTES);
    const section = sectionOf(packet);
    if (section === undefined) continue;
    const pid = packet.readUInt16BE(1) & 0x1fff;
    if (pid === 0 && section[0] === 0) for (const map of programMaps(section)) maps.add(map);
    if (maps.has(pid) && section[0] === 2) for (const name of audioOf(section)) names.add(name);
  }
  return [...names];
}

/** The section that begins in a packet, without its checksum; undefined if there is none, or not all of it. */
function sectionOf(packet: Buffer): Buffer | undefined {
  if (packet[0] !== SYNC || ((packet[1] ?? 0) & 0x40) === 0) return undefined;
  const control = ((packet[3] ?? 0) >> 4) & 3;
  if ((control & 1) === 0) return undefined;
  const pointer = control === 3 ? 5 + (packet[4] ?? 0) : 4;
  const start = pointer + 1 + (packet[pointer] ?? 0);
  if (start + 3 > packet.length) return undefined;
  const end = start + 3 + (packet.readUInt16BE(start + 1) & 0x0fff) - 4;
  return end <= packet.length && end > start + 8 ? packet.subarray(start, end) : undefined;
}

function programMaps(section: Buffer): number[] {
  const pids: number[] = [];
  for (let at = 8; at + 4 <= section.length; at += 4) pids.push(section.readUInt16BE(at + 2) & 0x1fff);
  return pids;
}

function audioOf(section: Buffer): string[] {
  const names: string[] = [];
  if (section.length < 12) return names;
  let at = 12 + (section.readUInt16BE(10) & 0x0fff);
  while (at + 5 <= section.length) {
    const type = section[at] ?? 0;
    const end = at + 5 + (section.readUInt16BE(at + 3) & 0x0fff);
    const name = type === PRIVATE_DATA ? registered(section.subarray(at + 5, end)) : STREAM_TYPES[type];
    if (name !== undefined) names.push(name);
    at = end;
  }
  return names;
}

function registered(descriptors: Buffer): string | undefined {
  for (let at = 0; at + 2 <= descriptors.length; at += 2 + (descriptors[at + 1] ?? 0)) {
    if (descriptors[at] === REGISTRATION_TAG) return REGISTRATIONS[descriptors.toString('latin1', at + 2, at + 6)];
  }
  return undefined;
}
