import { unusableHeader } from '../undecodable.js';
import { readGsmFrame } from './gsm-bits.js';
import { createGsmState, decodeGsmFrame } from './gsm-frame.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { createBlockDecoder, readBlockFormat } from './wav-blocks.js';

const NAME = 'GSM 6.10';
/** Two frames of 260 bits. */
const BLOCK_BYTES = 65;
const FRAME_SAMPLES = 160;

/** Creates a decoder of GSM full rate in WAV: two frames in 65 bytes, mono. An incomplete frame is dropped. */
export async function createGsmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { blockBytes } = readBlockFormat(format, NAME);
  if (format.channelCount !== 1)
    throw unusableHeader(NAME, `unsupported channel count ${format.channelCount}, expected 1`);
  if (blockBytes % BLOCK_BYTES !== 0) {
    throw unusableHeader(NAME, `unsupported block size of ${blockBytes} bytes, expected a multiple of ${BLOCK_BYTES}`);
  }
  const state = createGsmState();
  const decode = (block: Uint8Array): readonly Int16Array[] | undefined => {
    if (block.length < BLOCK_BYTES) return undefined;
    const samples = new Int16Array(2 * FRAME_SAMPLES);
    samples.set(decodeGsmFrame(state, readGsmFrame(block, 0)));
    samples.set(decodeGsmFrame(state, readGsmFrame(block, 1)), FRAME_SAMPLES);
    return [samples];
  };
  return createBlockDecoder({ name: NAME, blockBytes: BLOCK_BYTES, blockSamples: 2 * FRAME_SAMPLES, decode }, format);
}
