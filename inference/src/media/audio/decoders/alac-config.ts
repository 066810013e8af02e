import { InferenceError } from '../../../errors.js';
import { CHANNELS_MAX, SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ } from '../formats.js';
import type { PacketFormat } from './packet-decoder.js';

/** Apple's ALACSpecificConfig, as far as it is needed. */
export interface AlacConfig {
  /** Samples of each channel in a packet, unless it says otherwise: never more. */
  readonly frameLength: number;
  /** 16, 20, 24 or 32. */
  readonly bitDepth: number;
  /** The Rice coder's: history multiplier, initial history and the most bits of a remainder. */
  readonly historyMultiplier: number;
  readonly initialHistory: number;
  readonly limit: number;
  readonly channelCount: number;
  readonly sampleRateHz: number;
}

const CONFIG_BYTES = 24;
const BIT_DEPTHS = [16, 20, 24, 32];
/** Apple's encoder writes 4,096; no writer is known that comes near to this. */
const FRAME_LENGTH_MAX = 65_536;
/** A remainder, its prefix and the bit after it are read at once, of 32 bits. */
const LIMIT_MAX = 22;

/** Reads the setup. Throws AUDIO_UNREADABLE for one that no audio has. */
export function readAlacConfig({ description, sampleRateHz: claimedRateHz }: PacketFormat): AlacConfig {
  if (description === undefined || description.length < CONFIG_BYTES) {
    throw unreadable(`it has ${description?.length ?? 0} bytes, ${CONFIG_BYTES} are needed`);
  }
  const view = new DataView(description.buffer, description.byteOffset, description.length);
  const config = {
    frameLength: view.getUint32(0),
    bitDepth: view.getUint8(5),
    historyMultiplier: view.getUint8(6),
    initialHistory: view.getUint8(7),
    limit: view.getUint8(8),
    channelCount: view.getUint8(9),
    sampleRateHz: view.getUint32(20) || claimedRateHz,
  };
  const { frameLength, bitDepth, limit, channelCount, sampleRateHz } = config;
  const version = view.getUint8(4);
  if (version !== 0) throw unreadable(`it is of version ${version}, 0 is read`);
  if (frameLength < 1 || frameLength > FRAME_LENGTH_MAX) {
    throw unreadable(`it says ${frameLength} samples a packet, 1 to ${FRAME_LENGTH_MAX} are read`);
  }
  if (!BIT_DEPTHS.includes(bitDepth)) throw unreadable(`it says ${bitDepth} bits, ${BIT_DEPTHS.join(', ')} are read`);
  if (limit < 1 || limit > LIMIT_MAX) throw unreadable(`its Rice limit is ${limit}, 1 to ${LIMIT_MAX} are read`);
  if (channelCount < 1 || channelCount > CHANNELS_MAX) {
    throw unreadable(`it says ${channelCount} channels, 1 to ${CHANNELS_MAX} are read`);
  }
  if (sampleRateHz < SAMPLE_RATE_MIN_HZ || sampleRateHz > SAMPLE_RATE_MAX_HZ) {
    throw unreadable(`it says ${sampleRateHz} samples a second`);
  }
  return config;
}

function unreadable(reason: string): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', `Its ALAC setup cannot be used: ${reason}.`);
}
