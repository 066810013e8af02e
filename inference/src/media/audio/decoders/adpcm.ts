import { unusableHeader } from '../undecodable.js';
import { decodeImaBlock } from './adpcm-ima.js';
import { decodeMsBlock, MS_COEFFICIENTS, type MsCoefficients } from './adpcm-ms.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { type BlockFormat, createBlockDecoder, readBlockFormat } from './wav-blocks.js';

const CHANNELS_MAX = 2;
/** Bytes of a block's header per channel. */
const HEADER_BYTES = { 'adpcm-ms': 7, 'adpcm-ima': 4 } as const;
const NAMES = { 'adpcm-ms': 'Microsoft ADPCM', 'adpcm-ima': 'IMA ADPCM' } as const;

/**
 * Creates a decoder of 4-bit Microsoft or IMA ADPCM in WAV. The number of samples per block follows from its size; the header's
 * value is not needed.
 */
export async function createAdpcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const codec = format.codec === 'adpcm-ms' ? 'adpcm-ms' : 'adpcm-ima';
  const name = NAMES[codec];
  const { channelCount } = format;
  const header = readBlockFormat(format, name);
  const { blockBytes, bitsPerSample } = header;
  if (channelCount > CHANNELS_MAX)
    throw unusableHeader(name, `unsupported channel count ${channelCount}, expected 1 or 2`);
  if (bitsPerSample !== 4) throw unusableHeader(name, `unsupported ${bitsPerSample} bits per sample, expected 4`);
  const min = HEADER_BYTES[codec] * channelCount;
  if (blockBytes < min) {
    throw unusableHeader(name, `invalid block size of ${blockBytes} bytes, expected at least ${min}`);
  }
  const coefficients = codec === 'adpcm-ms' ? msCoefficients(header) : MS_COEFFICIENTS;
  const decode =
    codec === 'adpcm-ms'
      ? (block: Uint8Array) => decodeMsBlock(block, channelCount, coefficients)
      : (block: Uint8Array) => decodeImaBlock(block, channelCount);
  const data = blockBytes - min;
  const blockSamples =
    codec === 'adpcm-ms' ? 2 + Math.floor((2 * data) / channelCount) : 1 + 8 * Math.floor(data / (4 * channelCount));
  return createBlockDecoder({ name, blockBytes, blockSamples, decode }, format);
}

/** Returns the header's coefficient pairs, which follow its samples per block; the standard ones by default. */
function msCoefficients({ own }: BlockFormat): MsCoefficients {
  if (own.byteLength < 4) return MS_COEFFICIENTS;
  const count = own.getUint16(2, true);
  if (count === 0) return MS_COEFFICIENTS;
  if (count > 256 || own.byteLength < 4 + 4 * count) {
    throw unusableHeader('Microsoft ADPCM', `it declares ${count} coefficient pairs but has fewer`);
  }
  return Array.from({ length: count }, (_, index) => [
    own.getInt16(4 + 4 * index, true),
    own.getInt16(6 + 4 * index, true),
  ]);
}
