import { descriptorsIn, mapsIn, PRIVATE_DATA, REGISTRATION_TAG, type StreamEntry, streamsOf } from './transport-map.js';

/** Audio by stream type that the demuxer leaves out (ISO 13818-1, table 2-34; ATSC A/53; SCTE). */
const STREAM_TYPES: Readonly<Record<number, string>> = {
  17: 'AAC in LATM frames',
  28: 'MPEG-4 audio without a container',
  45: 'MPEG-H',
  131: 'Dolby TrueHD',
  134: 'DTS-HD',
};
const BLU_RAY_PCM = 128;
/** Audio in private data by its registration descriptor. */
const REGISTRATIONS: Readonly<Record<string, string>> = {
  Opus: 'Opus in MPEG-TS',
  BSSD: 'SMPTE 302M',
  'AC-4': 'AC-4',
  DTS1: 'DTS',
  DTS2: 'DTS',
  DTS3: 'DTS',
};

/** Returns the names of the unsupported audio that the program maps of the first packets list, to name it in an error. */
export function unsupportedTransportAudio(packets: Uint8Array): readonly string[] {
  const names = mapsIn(packets).flatMap((map) => streamsOf(map).map(nameOf));
  return [...new Set(names.filter((name) => name !== undefined))];
}

function nameOf({ type, descriptors, bluRay }: StreamEntry): string | undefined {
  if (type === BLU_RAY_PCM) return bluRay ? 'PCM of Blu-ray' : undefined;
  return type === PRIVATE_DATA ? registered(descriptors) : STREAM_TYPES[type];
}

function registered(descriptors: Buffer): string | undefined {
  for (const { tag, content } of descriptorsIn(descriptors)) {
    if (tag === REGISTRATION_TAG) return REGISTRATIONS[content.toString('latin1', 0, 4)];
  }
  return undefined;
}
