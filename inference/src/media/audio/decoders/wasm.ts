import { audioUnreadable } from '../undecodable.js';
import type { DecodedBlock } from './decoder.js';
import type { ErrorCount } from './error-count.js';
import { type AudioPacket, type PacketDecoder, packetDecoder } from './packet-decoder.js';

/** Maximum streams of a file, one after another. Each has a decoder of its own, which takes some milliseconds; a radio's has one per song. */
export const STREAMS_MAX = 10_000;

/** Throws AUDIO_UNREADABLE for more streams than `max`. */
export function checkStreams(count: number, max: number): void {
  if (count <= max) return;
  throw audioUnreadable(`The audio has more than ${max} streams, one after another.`);
}

/** The result of the decoders of the wasm-audio-decoders family. */
export interface WasmDecoded {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
}

/** Converts a result to blocks; none if nothing was decoded. */
export function blockOf(decoded: WasmDecoded): readonly DecodedBlock[] {
  if (decoded.samplesDecoded <= 0 || decoded.channelData.length === 0) return [];
  const channels = decoded.channelData.map((samples) => samples.subarray(0, decoded.samplesDecoded));
  return [{ channels, sampleRateHz: decoded.sampleRate }];
}

/** The result of the FLAC decoder. */
interface FlacDecoded extends WasmDecoded {
  readonly bitDepth: number;
}

/** As `blockOf`, rescaled: the library maps the largest integer to 1, but WAV, and so the same audio as WAV, the one above it. */
export function flacBlockOf(decoded: FlacDecoded): readonly DecodedBlock[] {
  const full = 2 ** (decoded.bitDepth - 1);
  const channelData = decoded.channelData.map((samples) =>
    samples.map((sample) => Math.round(sample * (full - 1)) / full),
  );
  return blockOf({ ...decoded, channelData });
}

export type WithErrors<Decoded> = Decoded & { readonly errors: readonly unknown[] };

/** A decoder of packets by a library of that family. `decode` returns undefined for a packet that it skips. */
export function wasmPacketDecoder<Decoded extends WasmDecoded>(
  format: string,
  wasm: { free(): void },
  decode: (data: Uint8Array) => WithErrors<Decoded> | undefined | Promise<WithErrors<Decoded>>,
  toBlocks: (decoded: Decoded) => readonly DecodedBlock[] = blockOf,
): PacketDecoder {
  const decodeOne = async ({ data, timestampSeconds }: AudioPacket, errors: ErrorCount) => {
    const decoded = data.length === 0 ? undefined : await decode(data);
    if (decoded === undefined) return [];
    errors.add(decoded.errors);
    return toBlocks(decoded).map((block) => ({ ...block, timestampSeconds }));
  };
  return packetDecoder(format, decodeOne, () => wasm.free());
}

/** Creates a decoder of FLAC frames in other containers: libFLAC as WebAssembly. */
export async function createFlacPacketDecoder(): Promise<PacketDecoder> {
  const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
  const wasm = new FLACDecoder();
  await wasm.ready;
  return wasmPacketDecoder('FLAC', wasm, (data) => wasm.decodeFrames([data]), flacBlockOf);
}

/** Creates a decoder of MPEG audio frames, layers 1 to 3, in other containers: libmpg123 as WebAssembly. */
export async function createMp3PacketDecoder(): Promise<PacketDecoder> {
  const { MPEGDecoder } = await import('mpg123-decoder');
  // The container's times show gaps, and there is no Xing header in it.
  const wasm = new MPEGDecoder({ enableGapless: false });
  await wasm.ready;
  return wasmPacketDecoder('MP3', wasm, (data) => wasm.decode(data));
}
