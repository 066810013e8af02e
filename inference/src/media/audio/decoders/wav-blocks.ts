import { viewOf } from '../../bytes.js';
import { unusableHeader } from '../undecodable.js';
import { type PacketDecoder, type PacketFormat, packetDecoder } from './packet-decoder.js';

/** A codec with fixed-size blocks. */
export interface BlockCodec {
  /** Name in warnings. */
  readonly name: string;
  /** Size of a block; the last one may be incomplete. */
  readonly blockBytes: number;
  /** Samples per channel and block; a damaged block becomes silence of that length. */
  readonly blockSamples: number;
  /** Decodes a block to 16-bit samples per channel; undefined if it is damaged or too short. */
  readonly decode: (block: Uint8Array) => readonly Int16Array[] | undefined;
}

/** The codec-specific fields of a `fmt ` chunk. */
export interface BlockFormat {
  readonly blockBytes: number;
  readonly bitsPerSample: number;
  /** The extension after `cbSize`; empty if there is none. */
  readonly own: DataView;
}

/** The tag of WAVE_FORMAT_EXTENSIBLE. */
export const TAG_EXTENSIBLE = 0xfffe;

const FORMAT_BYTES = 16;
const OWN_OFFSET = 18;
/** Its fields, which are before the codec's own. */
const EXTENSIBLE_BYTES = 22;

/** Parses the fields. Throws AUDIO_UNREADABLE if the chunk is missing. */
export function readBlockFormat({ description }: PacketFormat, name: string): BlockFormat {
  if (description === undefined) throw unusableHeader(name, "it has no 'fmt' chunk");
  const view = viewOf(description);
  const claimed = description.length > OWN_OFFSET ? view.getUint16(FORMAT_BYTES, true) : 0;
  const start = view.getUint16(0, true) === TAG_EXTENSIBLE ? OWN_OFFSET + EXTENSIBLE_BYTES : OWN_OFFSET;
  return {
    blockBytes: view.getUint16(12, true),
    bitsPerSample: view.getUint16(14, true),
    own: viewOf(description.subarray(start, OWN_OFFSET + claimed)),
  };
}

/** Creates a decoder of packets of one or more blocks. Damaged blocks are counted and become silence. */
export function createBlockDecoder(codec: BlockCodec, format: PacketFormat): PacketDecoder {
  const { name, blockBytes, blockSamples, decode } = codec;
  const { channelCount, sampleRateHz } = format;
  const silence = Array.from({ length: channelCount }, () => new Int16Array(blockSamples));
  return packetDecoder(name, async ({ data, timestampSeconds }, damaged) => {
    const decoded: (readonly Int16Array[])[] = [];
    for (let offset = 0; offset < data.length; offset += blockBytes) {
      const block = data.subarray(offset, offset + blockBytes);
      const samples = decode(block);
      if (samples !== undefined) decoded.push(samples);
      // SoX counts the byte that makes the chunk even.
      else if (block.length > 1) damaged.add([offset]);
      if (samples === undefined && block.length === blockBytes) decoded.push(silence);
    }
    if (decoded.length === 0) return [];
    const channels = Array.from({ length: channelCount }, (_, channel) =>
      joined(decoded.map((samples) => samples[channel] ?? new Int16Array(0))),
    );
    return [{ channels, sampleRateHz, timestampSeconds }];
  });
}

function joined(parts: readonly Int16Array[]): Float32Array {
  const samples = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    for (const sample of part) samples[at++] = sample / 32_768;
  }
  return samples;
}
