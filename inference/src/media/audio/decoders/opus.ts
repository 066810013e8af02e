import { viewOf } from '../../bytes.js';
import { audioUnreadable } from '../undecodable.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { blockOf, wasmPacketDecoder } from './wasm.js';

const SAMPLE_RATE_HZ = 48_000;
/** Size of `OpusHead` up to the mapping family (RFC 7845). */
const HEAD_BYTES = 19;
const MAPPING_OFFSET = 21;

interface OpusHead {
  readonly channels: number;
  readonly streamCount: number;
  readonly coupledStreamCount: number;
  readonly channelMappingTable: number[];
  /** Output gain, a factor of all samples. */
  readonly gain: number;
}

/** Creates a decoder of Opus packets in other containers: libopus as WebAssembly. The timestamps handle the pre-skip. */
export async function createOpusDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { gain, ...head } = parseOpusHead(format);
  const { OpusDecoder } = await import('opus-decoder');
  const wasm = new OpusDecoder({ ...head, preSkip: 0, forceStereo: false });
  await wasm.ready;
  return wasmPacketDecoder(
    'Opus',
    wasm,
    (data) => wasm.decodeFrame(data),
    (decoded) => blockOf({ ...decoded, channelData: withGain(decoded.channelData, gain), sampleRate: SAMPLE_RATE_HZ }),
  );
}

/** Returns the pre-skip of `OpusHead`, in samples at 48 kHz. */
export function opusPreSkip(description: Uint8Array | undefined): number {
  if (description === undefined || description.length < HEAD_BYTES) return 0;
  return (description[10] ?? 0) | ((description[11] ?? 0) << 8);
}

/** Returns the output gain of `OpusHead`, a factor of all samples (RFC 7845, 5.1). */
export function opusGain(description: Uint8Array): number {
  if (description.length < HEAD_BYTES) return 1;
  const view = viewOf(description);
  return 10 ** (view.getInt16(16, true) / 256 / 20);
}

/** Applies an output gain to decoded channels. */
export function withGain(channels: readonly Float32Array[], gain: number): readonly Float32Array[] {
  return gain === 1 ? channels : channels.map((samples) => samples.map((sample) => sample * gain));
}

function parseOpusHead({ description, channelCount }: PacketFormat): OpusHead {
  if (description === undefined || description.length < HEAD_BYTES) {
    const channels = Math.min(2, channelCount);
    return monoOrStereo(channels, 1);
  }
  const view = viewOf(description);
  const channels = view.getUint8(9);
  const gain = opusGain(description);
  const family = view.getUint8(18);
  if (family === 0 && (channels === 1 || channels === 2)) return monoOrStereo(channels, gain);
  if (channels < 1 || description.length < MAPPING_OFFSET + channels) {
    throw audioUnreadable(`Unsupported Opus header: ${channels} channels of mapping family ${family}.`);
  }
  return {
    channels,
    streamCount: view.getUint8(19),
    coupledStreamCount: view.getUint8(20),
    channelMappingTable: [...description.subarray(MAPPING_OFFSET, MAPPING_OFFSET + channels)],
    gain,
  };
}

/** The one stream of mapping family 0. */
function monoOrStereo(channels: number, gain: number): OpusHead {
  const channelMappingTable = [0, 1].slice(0, channels);
  return { channels, streamCount: 1, coupledStreamCount: channels - 1, channelMappingTable, gain };
}
