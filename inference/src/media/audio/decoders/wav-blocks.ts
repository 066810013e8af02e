import { InferenceError } from '../../../errors.js';
import type { AudioPacket, PacketDecoder, PacketFormat, TimedBlock } from './packet-decoder.js';
import { ErrorCount } from './wasm.js';

/** What a codec of telephone days says of its blocks. */
export interface BlockCodec {
  /** As warnings name it. */
  readonly name: string;
  /** One block; of the last of an audio file it may be a part. */
  readonly blockBytes: number;
  /** Of each channel, in a whole block: as long is the silence that stands for a damaged one. */
  readonly blockSamples: number;
  /** Its samples in 16 bits, a channel each; undefined: it is damaged, or too short to say anything. */
  readonly decode: (block: Uint8Array) => readonly Int16Array[] | undefined;
}

/** The body of a `fmt ` chunk, its fields beyond those that every format has. */
export interface BlockFormat {
  readonly blockBytes: number;
  readonly bitsPerSample: number;
  /** What follows the size of the codec's own part; empty where there is none. */
  readonly own: DataView;
}

const FORMAT_BYTES = 16;
const OWN_OFFSET = 18;

/** Throws AUDIO_UNREADABLE where the chunk is not there. */
export function readBlockFormat({ description }: PacketFormat, name: string): BlockFormat {
  if (description === undefined || description.length < FORMAT_BYTES) {
    throw unreadable(name, "it has no 'fmt' chunk");
  }
  const view = new DataView(description.buffer, description.byteOffset, description.length);
  const ownBytes = Math.max(0, description.length - OWN_OFFSET);
  const claimed = ownBytes === 0 ? 0 : view.getUint16(FORMAT_BYTES, true);
  return {
    blockBytes: view.getUint16(12, true),
    bitsPerSample: view.getUint16(14, true),
    own: new DataView(
      description.buffer,
      description.byteOffset + (ownBytes === 0 ? 0 : OWN_OFFSET),
      Math.min(ownBytes, claimed),
    ),
  };
}

/** A header that cannot be used. */
export function unreadable(name: string, reason: string): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', `Its ${name} header cannot be used: ${reason}.`);
}

/** Decodes packets of one block or more. What is damaged is counted, and silent. */
export function createBlockDecoder(codec: BlockCodec, format: PacketFormat): PacketDecoder {
  const { name, blockBytes, blockSamples, decode } = codec;
  const damaged = new ErrorCount();
  const { channelCount, sampleRateHz } = format;
  const silence = Array.from({ length: channelCount }, () => new Int16Array(blockSamples));
  return {
    get warnings() {
      return damaged.warnings(name);
    },
    decode: async ({ data, timestampSeconds }: AudioPacket): Promise<readonly TimedBlock[]> => {
      const decoded: (readonly Int16Array[])[] = [];
      for (let offset = 0; offset < data.length; offset += blockBytes) {
        const block = data.subarray(offset, offset + blockBytes);
        const samples = decode(block);
        if (samples !== undefined) decoded.push(samples);
        else damaged.add([offset]);
        if (samples === undefined && block.length === blockBytes) decoded.push(silence);
      }
      if (decoded.length === 0) return [];
      const channels = Array.from({ length: channelCount }, (_, channel) =>
        joined(decoded.map((samples) => samples[channel] ?? new Int16Array(0))),
      );
      return [{ channels, sampleRateHz, timestampSeconds }];
    },
    flush: async () => [],
    close: () => {},
  };
}

function joined(parts: readonly Int16Array[]): Float32Array {
  const samples = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    for (const sample of part) samples[at++] = sample / 32_768;
  }
  return samples;
}
