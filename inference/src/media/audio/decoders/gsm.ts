import { readGsmFrame } from './gsm-bits.js';
import { createGsmState, decodeGsmFrame } from './gsm-frame.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { createBlockDecoder, readBlockFormat, unreadable } from './wav-blocks.js';

const NAME = 'GSM 6.10';
/** Two frames of 260 bits. */
const BLOCK_BYTES = 65;
const FRAME_SAMPLES = 160;

/** GSM full rate as WAV has it: two frames in 65 bytes, of one channel. A frame that is not whole says nothing. */
export async function createGsmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { blockBytes } = readBlockFormat(format, NAME);
  if (format.channelCount !== 1) throw unreadable(NAME, `it says ${format.channelCount} channels, 1 is read`);
  if (blockBytes % BLOCK_BYTES !== 0) {
    throw unreadable(NAME, `it says ${blockBytes} bytes a block, ${BLOCK_BYTES} or a multiple are read`);
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
