import { decodeImaBlock } from './adpcm-ima.js';
import { decodeMsBlock, MS_COEFFICIENTS, type MsCoefficients } from './adpcm-ms.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { type BlockFormat, createBlockDecoder, readBlockFormat, unreadable } from './wav-blocks.js';

const CHANNELS_MAX = 2;
/** Of a block's header, for each channel. */
const HEADER_BYTES = { 'adpcm-ms': 7, 'adpcm-ima': 4 } as const;
const NAMES = { 'adpcm-ms': 'Microsoft ADPCM', 'adpcm-ima': 'IMA ADPCM' } as const;

/**
 * ADPCM of WAV with four bits a sample, by Microsoft and by IMA. How many samples a block has is told by its bytes: what
 * the header says of it is not needed.
 */
export async function createAdpcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const codec = format.codec === 'adpcm-ms' ? 'adpcm-ms' : 'adpcm-ima';
  const name = NAMES[codec];
  const { channelCount } = format;
  const header = readBlockFormat(format, name);
  const { blockBytes, bitsPerSample } = header;
  if (channelCount > CHANNELS_MAX) throw unreadable(name, `it says ${channelCount} channels, 1 or 2 are read`);
  if (bitsPerSample !== 4) throw unreadable(name, `it says ${bitsPerSample} bits a sample, 4 are read`);
  const least = HEADER_BYTES[codec] * channelCount;
  if (blockBytes < least) {
    throw unreadable(name, `it says ${blockBytes} bytes a block, at least ${least} are needed`);
  }
  const coefficients = codec === 'adpcm-ms' ? msCoefficients(header) : MS_COEFFICIENTS;
  const decode =
    codec === 'adpcm-ms'
      ? (block: Uint8Array) => decodeMsBlock(block, channelCount, coefficients)
      : (block: Uint8Array) => decodeImaBlock(block, channelCount);
  const data = blockBytes - least;
  const blockSamples =
    codec === 'adpcm-ms' ? 2 + Math.floor((2 * data) / channelCount) : 1 + 8 * Math.floor(data / (4 * channelCount));
  return createBlockDecoder({ name, blockBytes, blockSamples, decode }, format);
}

/** The pairs that the header gives; those of the standard where it gives none. The samples of a block come before them. */
function msCoefficients({ own }: BlockFormat): MsCoefficients {
  if (own.byteLength < 4) return MS_COEFFICIENTS;
  const count = own.getUint16(2, true);
  if (count === 0) return MS_COEFFICIENTS;
  if (count > 256 || own.byteLength < 4 + 4 * count) {
    throw unreadable('Microsoft ADPCM', `it says ${count} pairs of coefficients and has room for fewer`);
  }
  return Array.from({ length: count }, (_, index) => [
    own.getInt16(4 + 4 * index, true),
    own.getInt16(6 + 4 * index, true),
  ]);
}
