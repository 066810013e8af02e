import type { PacketDecoder } from './packet-decoder.js';
import { wasmPacketDecoder } from './wasm.js';

/** Creates a decoder of MPEG audio frames, layers 1 to 3, in other containers: libmpg123 as WebAssembly. */
export async function createMp3PacketDecoder(): Promise<PacketDecoder> {
  const { MPEGDecoder } = await import('mpg123-decoder');
  // The container's times show gaps, and there is no Xing header in it.
  const wasm = new MPEGDecoder({ enableGapless: false });
  await wasm.ready;
  return wasmPacketDecoder('MP3', wasm, (data) => wasm.decode(data));
}
