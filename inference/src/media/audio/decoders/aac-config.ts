import { ADTS_HEADER_BYTES, readAdtsHeader } from '../adts.js';
import { audioUnreadable } from '../undecodable.js';
import { readProgramConfig } from './aac-program-config.js';
import { BitReader } from './bit-reader.js';

const SAMPLE_RATES_HZ = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const TYPE_MAIN = 1;
const TYPE_LTP = 4;
const TYPE_SBR = 5;
const TYPE_PS = 29;
const ESCAPED_RATE = 15;
/** Names of unsupported object types (ISO 14496-3, table 1.17). */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  6: 'AAC scalable',
  17: 'ER AAC-LC',
  20: 'ER AAC scalable',
  23: 'AAC-LD',
  39: 'AAC-ELD',
  42: 'xHE-AAC (USAC)',
};
/** The header's length field has 13 bits. */
export const AAC_FRAME_MAX_BYTES = 8_191 - ADTS_HEADER_BYTES;

/** The fields of an AudioSpecificConfig (ISO 14496-3). */
export interface AacConfig {
  /** Object type, 1 to 4: Main, LC, SSR, LTP. */
  readonly objectType: number;
  readonly rateIndex: number;
  /** Number of a layout; 0: `programConfig` lists the channels. */
  readonly channelConfiguration: number;
  /** The program config element, as `readProgramConfig` returns it; undefined if the frames have it. */
  readonly programConfig?: Uint8Array | undefined;
  /** Sample rate of the core, before SBR doubles it. */
  readonly coreRateHz: number;
}

/** Parses an AudioSpecificConfig. Throws AUDIO_UNREADABLE with the name of an unsupported kind of AAC. */
export function parseAacConfig(bytes: Uint8Array): AacConfig {
  const [first = 0, second = 0, third = 0] = bytes;
  const rateIndex = ((first & 7) << 1) | (second >> 7);
  const channelConfiguration = (second >> 3) & 0x0f;
  const escaped = first >> 3 === 31;
  const outer = escaped ? 32 + (((first & 7) << 3) | (second >> 5)) : first >> 3;
  // With explicit SBR or parametric stereo, the core's object type follows the doubled rate; in practice it is LC.
  const inner = outer === TYPE_SBR || outer === TYPE_PS ? ((second & 3) << 3) | (third >> 5) : outer;
  const objectType = inner === 0 ? 2 : inner;
  const coreRateHz = SAMPLE_RATES_HZ[rateIndex];
  if (objectType < TYPE_MAIN || objectType > TYPE_LTP || coreRateHz === undefined) {
    const name = TYPE_NAMES[outer];
    const kind = name ?? `Unknown kind of AAC (object type ${outer}, rate index ${rateIndex})`;
    throw audioUnreadable(`${kind} is not supported; AAC-LC and HE-AAC are.`);
  }
  const programConfig = channelConfiguration === 0 ? programConfigIn(bytes) : undefined;
  return { objectType, rateIndex, channelConfiguration, programConfig, coreRateHz };
}

/** Reads the program config element of an AudioSpecificConfig with channel configuration 0. */
function programConfigIn(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new BitReader(bytes);
  const objectType = reader.read(5);
  reader.read(4 + 4);
  if (objectType === TYPE_SBR || objectType === TYPE_PS) {
    if (reader.read(4) === ESCAPED_RATE) reader.read(24);
    reader.read(5);
  }
  reader.read(1);
  // A core coder's delay.
  if (reader.read(1) === 1) reader.read(14);
  reader.read(1);
  return readProgramConfig(bytes, reader.position);
}

/** Parses the header of an ADTS frame; undefined if it is not one. */
export function parseAdtsHeader(frame: Uint8Array): AacConfig | undefined {
  const header = readAdtsHeader(frame);
  if (header === undefined) return undefined;
  const { objectType, rateIndex, channelConfiguration } = header;
  const coreRateHz = SAMPLE_RATES_HZ[rateIndex];
  return coreRateHz === undefined ? undefined : { objectType, rateIndex, channelConfiguration, coreRateHz };
}

/** Creates the header of an ADTS frame, without checksum. */
export function adtsHeader(config: AacConfig, frameBytes: number): number[] {
  const { objectType, rateIndex, channelConfiguration } = config;
  const length = frameBytes + ADTS_HEADER_BYTES;
  return [
    0xff,
    0xf1,
    ((objectType - 1) << 6) | (rateIndex << 2) | (channelConfiguration >> 2),
    ((channelConfiguration & 3) << 6) | (length >> 11),
    (length >> 3) & 0xff,
    ((length & 7) << 5) | 0x1f,
    0xfc,
  ];
}
