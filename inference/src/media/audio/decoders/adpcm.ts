import { unusableHeader } from '../undecodable.js';
import { decodeImaBlock, IMA_HEADER_BYTES } from './adpcm-ima.js';
import { decodeMsBlock, MS_COEFFICIENTS, MS_HEADER_BYTES, type MsCoefficients } from './adpcm-ms.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { type BlockFormat, createBlockDecoder, readBlockFormat } from './wav-blocks.js';

const CHANNELS_MAX = 2;

/**
 * Creates a decoder of 4-bit Microsoft or IMA ADPCM in WAV. The number of samples per block follows from its size; the header's
 * value is not needed.
 */
export async function createAdpcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const isMs = format.codec === 'adpcm-ms';
  const name = isMs ? 'Microsoft ADPCM' : 'IMA ADPCM';
  const { channelCount } = format;
  const header = readBlockFormat(format, name);
  const { blockBytes, bitsPerSample } = header;
  if (channelCount > CHANNELS_MAX)
    throw unusableHeader(name, `unsupported channel count ${channelCount}, expected 1 or 2`);
  if (bitsPerSample !== 4) throw unusableHeader(name, `unsupported ${bitsPerSample} bits per sample, expected 4`);
  const min = (isMs ? MS_HEADER_BYTES : IMA_HEADER_BYTES) * channelCount;
  if (blockBytes < min) {
    throw unusableHeader(name, `invalid block size of ${blockBytes} bytes, expected at least ${min}`);
  }
  const coefficients = isMs ? msCoefficients(header) : MS_COEFFICIENTS;
  const decode = (block: Uint8Array) =>
    isMs ? decodeMsBlock(block, channelCount, coefficients) : decodeImaBlock(block, channelCount);
  const blockSamples = decode(new Uint8Array(blockBytes))?.[0]?.length ?? 0;
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
