import type { InferenceError } from '../../../errors.js';
import { viewOf } from '../../bytes.js';
import { unsupportedFormat } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import type { PacketFormat } from './packet-decoder.js';

/** The used fields of Apple's ALACSpecificConfig. */
export interface AlacConfig {
  /** Maximum and default samples per channel and packet. */
  readonly frameLength: number;
  /** 16, 20, 24 or 32. */
  readonly bitDepth: number;
  /** Rice coder parameters: history multiplier, initial history and maximum bits of a remainder. */
  readonly historyMultiplier: number;
  readonly initialHistory: number;
  readonly limit: number;
  readonly channelCount: number;
  readonly sampleRateHz: number;
}

const CONFIG_BYTES = 24;
const BIT_DEPTHS = [16, 20, 24, 32];
/** Far above known encoders; Apple's writes 4,096. */
const FRAME_LENGTH_MAX = 65_536;
/** A remainder is read with its prefix and the following bit from 32 bits. */
const LIMIT_MAX = 22;

/** Parses the configuration. Throws AUDIO_UNREADABLE for implausible values. */
export function readAlacConfig({ description, sampleRateHz: claimedRateHz }: PacketFormat): AlacConfig {
  if (description === undefined || description.length < CONFIG_BYTES) {
    throw unreadable(`${description?.length ?? 0} bytes, expected ${CONFIG_BYTES}`);
  }
  const view = viewOf(description);
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
  if (version !== 0) throw unreadable(`unsupported version ${version}, expected 0`);
  if (frameLength < 1 || frameLength > FRAME_LENGTH_MAX) {
    throw unreadable(`invalid frame length ${frameLength}, expected 1 to ${FRAME_LENGTH_MAX}`);
  }
  if (!BIT_DEPTHS.includes(bitDepth))
    throw unreadable(`unsupported bit depth ${bitDepth}, expected ${BIT_DEPTHS.join(', ')}`);
  if (limit < 1 || limit > LIMIT_MAX) throw unreadable(`invalid Rice limit ${limit}, expected 1 to ${LIMIT_MAX}`);
  const unsupported = unsupportedFormat(channelCount, sampleRateHz);
  if (unsupported !== undefined) throw unreadable(unsupported);
  return config;
}

function unreadable(reason: string): InferenceError {
  return audioUnreadable(`Invalid ALAC configuration: ${reason}.`);
}
